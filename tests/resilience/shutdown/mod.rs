//! Shutdown behind a balancer, reload under load.

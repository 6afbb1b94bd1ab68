//! Several servers on one MongoDB and one Redis.

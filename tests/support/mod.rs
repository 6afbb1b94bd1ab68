//! What the test binaries need to run the server against real stores.
#![allow(dead_code, reason = "each of them uses a part of its own")]

pub(crate) mod app;
pub(crate) mod balancer;
pub(crate) mod length;
pub(crate) mod process;
pub(crate) mod replica_set;
pub(crate) mod served;
pub(crate) mod server;
pub(crate) mod stores;
pub(crate) mod tls;

//! The stores of the tests, for a run that is given none.
#![allow(dead_code, reason = "the tests do more with their stores")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may fail so, and a bench without its stores cannot go on"
)]

#[path = "../../tests/support/server.rs"]
pub(crate) mod server;
#[path = "../../tests/support/stores.rs"]
pub(crate) mod stores;

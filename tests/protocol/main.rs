//! What the RFCs and our documents promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests do not count as tests"
)]

mod stores;
#[path = "../support/mod.rs"]
mod support;

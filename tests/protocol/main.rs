//! What the RFCs and our documents promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests do not count as tests"
)]

mod architecture;
mod client_authentication;
mod commands;
mod http;
mod plans;
mod protected_endpoint;
mod raw;
mod readme;
mod rows;
mod sign_outs;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod tls;
mod token_endpoint;
mod token_life;

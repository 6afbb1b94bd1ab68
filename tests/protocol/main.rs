//! What the RFCs and our documents promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests do not count as tests"
)]

mod architecture;
mod client_authentication;
mod client_credentials;
mod commands;
mod documents;
mod head;
mod http;
mod introspection;
mod metadata;
mod plans;
mod protected_endpoint;
mod raw;
mod readme;
mod revocation;
mod rows;
mod sessions;
mod sign_outs;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod throttle;
mod tls;
mod token_endpoint;
mod token_life;
mod token_storage;

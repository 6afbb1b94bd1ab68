//! Client libraries that others wrote do every flow they know, over TLS that they verify.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests do not count as tests"
)]

mod authority;
mod bench;
mod rust;
mod scripts;
#[path = "../support/mod.rs"]
mod support;

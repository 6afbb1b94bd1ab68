//! Outages, crashes and overload: what must hold while parts fail, and how it heals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests do not count as tests"
)]

mod actors;
mod alone;
mod figures;
mod h2_frames;
mod history;
mod kills;
mod logins;
mod mongo;
mod peers;
mod probe;
mod proxy;
mod random;
mod redis;
mod secrets;
mod several;
mod shutdown;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod target;
mod vitals;
mod wire;

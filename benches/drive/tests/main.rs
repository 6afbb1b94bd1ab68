//! The load program: its parts, and the whole of it against a server that runs in this process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failing test panics, and the program talks to people"
)]

#[path = "../program/mod.rs"]
mod program;

mod arrivals;
mod figures;
mod mix;
mod served;
mod sessions;
mod whole;

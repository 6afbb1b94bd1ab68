//! Drives a running OAuth 2.0 server over HTTP, and tells how fast it answers.
//!
//! `cargo bench --bench drive -- --url https://localhost:5000 --insecure --client-id ID --user
//! jonas:pass` sends verifications, refreshes and logins at a set rate, whether or not the earlier
//! ones are answered, and counts each latency from the moment at which the request was due: a
//! server that stalls does not hide it by slowing down its clients. `-- --help` lists the options.
//! The server need not be ours: its paths and its answer to a verification can be named.
//!
//! It ends with 0 when every answer was well-formed, refusals included; with 1 when one was not;
//! with 2 when it could not do its work.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a load program talks to people"
)]

mod program;

use std::process::ExitCode;

use clap::Parser;
use program::arguments::Arguments;

fn main() -> ExitCode {
    let is_option = |argument: &String| argument.starts_with('-') && argument != "--bench";
    if !std::env::args()
        .skip(1)
        .any(|argument| is_option(&argument))
    {
        // `cargo bench` and `cargo test --all-targets` come here with the other benches in mind.
        eprintln!("drive: nothing to do without --url, see --help");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    match program::run(&arguments) {
        Ok(report) if report.is_well_formed() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("drive: {error}");
            ExitCode::from(2)
        }
    }
}

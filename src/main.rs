//! The `sentinel` command.

use std::process::ExitCode;

use warp_sentinel::cli;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}

//! Is the server as fast as it should be, and as small? Answered by ratios within one run.
//!
//! `cargo bench --bench load` starts the server and the floor, a bare warp route behind the same
//! accept loop and TLS, as processes of their own; drives them in turns; and exits with 1 when a
//! target is missed. `-- memory`, `-- verify` or `-- grants` runs that part alone. Latencies are
//! those of a closed loop: each connection has one request under way.
//!
//! `SENTINEL_BENCH_REPORT_ONLY=1` makes a missed target no failure. With
//! `SENTINEL_BENCH_MONGO_URI` and `SENTINEL_BENCH_REDIS_URL`, both on this machine, a second
//! server runs on those; its database is dropped at the end, its tokens in Redis expire within
//! the hour. Lengths and counts are listed in `plan.rs`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench talks to people"
)]

mod client;
#[path = "../wire/dial.rs"]
mod dial;
mod grants;
mod memory;
mod plan;
mod process;
mod report;
#[path = "../wire/schedule.rs"]
mod schedule;
mod server;
mod verify;

use std::error::Error;
use std::process::ExitCode;

use plan::{Part, Plan};
use process::{Process, Role};
use report::Report;

/// What a step gives, or why the bench cannot go on.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match Role::from_arguments(&arguments) {
        Some(role) => server::run(&role).map(|()| ExitCode::SUCCESS),
        None if arguments.iter().any(|argument| argument == "--bench") => measure(&arguments),
        // `cargo test --all-targets` comes here; there is nothing to test.
        None => return ExitCode::SUCCESS,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("load: {error}");
        ExitCode::from(2)
    })
}

fn measure(arguments: &[String]) -> Outcome<ExitCode> {
    let plan = Plan::read(arguments)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut report = Report::default();
    let measured = measure_parts(&plan, &runtime, &mut report);
    let tidied = runtime.block_on(plan.drop_database());
    measured?;
    tidied?;
    report.print();
    Ok(report.exit_code(plan.is_report_only))
}

// The processes end before the database that they write to is dropped.
fn measure_parts(
    plan: &Plan,
    runtime: &tokio::runtime::Runtime,
    report: &mut Report,
) -> Outcome<()> {
    let floor = Process::start(Role::Floor)?;
    let mut servers = vec![Process::start(Role::Embedded)?];
    if let Some(stores) = &plan.stores {
        servers.push(Process::start(Role::MongoDb(stores.clone()))?);
    }
    if plan.has(Part::Memory) {
        memory::measure(&servers, runtime, report)?;
    }
    if plan.has(Part::Verify) {
        runtime.block_on(verify::measure(plan, &floor, &servers, report))?;
    }
    if plan.has(Part::Grants) {
        grants::measure(plan, runtime, &servers, report)?;
    }
    Ok(())
}

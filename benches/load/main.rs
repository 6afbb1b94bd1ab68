//! Is the server as fast as it should be, and as small? Answered by ratios within one run.
//!
//! `cargo bench --bench load` starts servers and floors as processes of their own, drives them in
//! turns, and exits with 1 when a target is missed. A floor is what would be left without the
//! server. Names behind `--` run these parts alone:
//!
//! | part | what is measured | floor |
//! | --- | --- | --- |
//! | `memory` | a fresh server, an idle connection, a token of the local copy | |
//! | `start` | from the start of `sentinel` until `/readyz` says that it is ready | |
//! | `connections` | new TLS connections; how many clients go on with a session | tokio-rustls and hyper |
//! | `refresh` | refresh grants on MongoDB, of many clients and of one | grouped writes to MongoDB |
//! | `verify` | `/oauth/verify` warm, of an empty local copy, beside logins | a warp route behind the same accept loop and TLS |
//! | `grants` | password grants | bcrypt threads |
//! | `size` | verifications, logins and refreshes with much data in MongoDB | those with little |
//!
//! `size` fills databases first, and runs only when it is named.
//!
//! Latencies are those of a closed loop, each connection with one request under way; but what is
//! verified beside logins is asked at set times.
//!
//! The stores are a mongod and a redis-server of its own, from the search path or from where
//! `./test` puts them, unless `SENTINEL_BENCH_MONGO_URI` and `SENTINEL_BENCH_REDIS_URL` name others
//! on this machine; there its databases are dropped at the end, and its tokens in Redis expire
//! within the hour. Where there are none, what needs them is told as not measured.
//!
//! `SENTINEL_BENCH_REPORT_ONLY=1` makes a missed target no failure. Lengths and counts are listed
//! in `plan.rs`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench talks to people"
)]

mod bare_tls;
mod bare_writes;
mod client;
mod connections;
#[path = "../wire/dial.rs"]
mod dial;
mod files;
mod grants;
mod memory;
mod plan;
mod process;
mod published;
mod refresh;
mod report;
mod round;
#[path = "../wire/schedule.rs"]
mod schedule;
mod server;
mod sessions;
mod size;
mod start;
mod stores;
mod support;
mod tally;
mod verify;

use std::error::Error;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use plan::{Part, Plan};
use process::{Process, Role};
use report::Report;
use stores::{Own, Stores};

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
    files::allow(plan.open_files(), arguments)?;
    let runtime = Runtime::new()?;
    let mut report = Report::default();
    let own = runtime.block_on(Own::start(&plan));
    let stores = plan.stores.as_ref().or(own.as_ref().map(|own| &own.stores));
    let measured = measure_parts(&plan, &runtime, stores, &mut report);
    report.print();
    if let Some(stores) = &plan.stores {
        let tidied = runtime.block_on(stores.drop_databases());
        measured.and(tidied)?;
    } else {
        measured?;
    }
    Ok(report.exit_code(plan.is_report_only))
}

// The processes end before the databases that they write to are dropped.
fn measure_parts(
    plan: &Plan,
    runtime: &Runtime,
    stores: Option<&Stores>,
    report: &mut Report,
) -> Outcome<()> {
    if stores.is_none() && plan.needs_stores() {
        report.skip("servers on MongoDB and Redis", stores::MISSING);
    }
    if plan.has(Part::Memory) {
        memory::measure(plan, runtime, stores, report)?;
    }
    if plan.has(Part::Start) {
        start::measure(plan, runtime, stores, report)?;
    }
    if plan.has(Part::Connections) {
        let floor = Process::start(Role::BareTls)?;
        let server = Process::start(Role::Embedded)?;
        runtime.block_on(connections::measure(plan, &floor, &server, report))?;
    }
    if plan.has(Part::Refresh) {
        match stores {
            Some(stores) => refresh::measure(plan, runtime, stores, report)?,
            None => report.skip("refresh", stores::MISSING),
        }
    }
    if plan.has(Part::Verify) || plan.has(Part::Grants) {
        measure_requests(plan, runtime, stores, report)?;
    }
    if plan.has(Part::Size) {
        match stores {
            Some(stores) => runtime.block_on(size::measure(plan, stores, report))?,
            None => report.skip("size", stores::MISSING),
        }
    }
    Ok(())
}

fn measure_requests(
    plan: &Plan,
    runtime: &Runtime,
    stores: Option<&Stores>,
    report: &mut Report,
) -> Outcome<()> {
    let floor = Process::start(Role::Floor)?;
    let mut servers = vec![Process::start(Role::Embedded)?];
    if let Some(stores) = stores {
        servers.push(Process::start(Role::MongoDb(stores.clone()))?);
    }
    if plan.has(Part::Verify) {
        runtime.block_on(verify::measure(plan, &floor, &servers, report))?;
    }
    if plan.has(Part::Grants) {
        grants::measure(plan, runtime, &servers, report)?;
    }
    Ok(())
}

//! The load program, but for its entry: tests enter it as well.

pub(crate) mod arguments;
pub(crate) mod arrivals;
pub(crate) mod ask;
#[path = "../../wire/dial.rs"]
pub(crate) mod dial;
pub(crate) mod driver;
pub(crate) mod figures;
pub(crate) mod kind;
pub(crate) mod line;
pub(crate) mod mix;
pub(crate) mod plot;
pub(crate) mod pool;
pub(crate) mod random;
pub(crate) mod report;
#[path = "../../wire/schedule.rs"]
pub(crate) mod schedule;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod tally;
pub(crate) mod target;
pub(crate) mod traffic;
pub(crate) mod trust;
pub(crate) mod watch;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;

use arguments::Arguments;
use driver::Driver;
use report::Report;
use tally::Tally;
use traffic::Period;

/// What a step gives, or why the program cannot go on.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Drives a server, prints what was found and writes the files that are wanted.
///
/// # Errors
/// Why there is nothing to report.
pub(crate) fn run(arguments: &Arguments) -> Outcome<Report> {
    // Before the run, not after it, it shows that they cannot be written.
    let json = arguments.json.as_ref().map(create).transpose()?;
    let svg = arguments.svg.as_ref().map(create).transpose()?;
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = arguments.threads {
        builder.worker_threads(threads.into());
    }
    let runtime = builder.enable_all().build()?;
    let report = runtime.block_on(drive(arguments))?;
    println!("{}", report.configuration.summary());
    print!("{}", report.table());
    if let Some(mut file) = json {
        serde_json::to_writer_pretty(&mut file, &report)?;
        writeln!(file)?;
    }
    if let Some(mut file) = svg {
        file.write_all(plot::svg(&report)?.as_bytes())?;
    }
    Ok(report)
}

async fn drive(arguments: &Arguments) -> Outcome<Report> {
    let driver = Arc::new(Driver::prepare(arguments).await?);
    let period = Period::from_now(arguments);
    let late = Duration::from_millis(arguments.late.into());
    let tally = Arc::new(Tally::new(arguments.mix.kinds(), period, late)?);
    let (tasks, seen) = tokio::join!(
        traffic::send(arguments, &driver, &tally, period),
        watch::watch(arguments, &tally, period),
    );
    traffic::finish(tasks?, arguments.timeout()).await;
    Report::of(arguments, &driver, &tally, seen?)
}

fn create(path: &PathBuf) -> Outcome<File> {
    File::create(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

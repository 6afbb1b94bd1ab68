//! Sends the load, open or closed, from the first request of the warm-up to the last one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Outcome;
use super::arguments::Arguments;
use super::arrivals::{Moments, pace};
use super::ask::Fault;
use super::driver::Driver;
use super::random::Random;
use super::tally::{Entry, Tally};

/// Requests that may be due and not answered. What comes on top is counted as not sent.
const UNDER_WAY: u64 = 100_000;
/// The pause of a busy connection that cannot be opened.
const PAUSE: Duration = Duration::from_millis(50);

/// When what is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    /// The first request.
    pub(crate) begin: Instant,
    /// The first request that counts.
    pub(crate) start: Instant,
    /// No request any more.
    pub(crate) end: Instant,
}

impl Period {
    /// A period that begins now.
    pub(crate) fn from_now(arguments: &Arguments) -> Self {
        let begin = Instant::now();
        let start = begin + arguments.warm_up();
        let end = start + arguments.measured();
        Self { begin, start, end }
    }
}

/// Sends until the period is over. What is not answered then is in the tasks that come back.
///
/// # Errors
/// None but a defect of this program.
pub(crate) async fn send(
    arguments: &Arguments,
    driver: &Arc<Driver>,
    tally: &Arc<Tally>,
    period: Period,
) -> Outcome<JoinSet<()>> {
    if arguments.closed {
        Ok(keep_busy(arguments, driver, tally, period))
    } else {
        send_when_due(arguments, driver, tally, period).await
    }
}

/// Waits for `tasks`, but no longer than this, and gives up those that are left.
pub(crate) async fn finish(mut tasks: JoinSet<()>, patience: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_err() {
        tasks.shutdown().await;
    }
}

async fn send_when_due(
    arguments: &Arguments,
    driver: &Arc<Driver>,
    tally: &Arc<Tally>,
    period: Period,
) -> Outcome<JoinSet<()>> {
    let mut random = Random::of(arguments.seed);
    let length = period.end - period.begin;
    let moments = Moments::new(arguments.arrivals, arguments.rate, random.fork())
        .take_while(move |moment| *moment < length);
    let (out, mut due) = mpsc::unbounded_channel();
    let pacing = std::thread::spawn(move || pace(period.begin, moments, &out));
    let mut tasks = JoinSet::new();
    while let Some(due) = due.recv().await {
        let kind = arguments.mix.draw(&mut random);
        if tally.under_way() < UNDER_WAY {
            let (driver, tally) = (Arc::clone(driver), Arc::clone(tally));
            tasks.spawn(async move {
                // The tally has it.
                let _ = driver.perform(kind, due, &tally).await;
            });
        } else {
            drop(Entry::begin(tally, kind, due));
        }
        while tasks.try_join_next().is_some() {}
    }
    pacing.join().map_err(|_| "the thread that paces failed")?;
    Ok(tasks)
}

fn keep_busy(
    arguments: &Arguments,
    driver: &Arc<Driver>,
    tally: &Arc<Tally>,
    period: Period,
) -> JoinSet<()> {
    let mut random = Random::of(arguments.seed);
    let mut tasks = JoinSet::new();
    for _ in 0..arguments.slots() {
        let (driver, tally) = (Arc::clone(driver), Arc::clone(tally));
        let (mut random, mix) = (random.fork(), arguments.mix.clone());
        tasks.spawn(async move {
            let mut now = Instant::now();
            while now < period.end {
                let outcome = driver.perform(mix.draw(&mut random), now, &tally).await;
                if outcome == Err(Fault::Connect) {
                    sleep(PAUSE).await;
                }
                now = Instant::now();
            }
        });
    }
    tasks
}

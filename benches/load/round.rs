//! Rounds: connections that all work at once, what each request took, and what it cost the server.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Outcome;
use super::client::Connection;
use super::process::Process;
use super::report::{Report, count, median};
use super::tally::percentile;

/// One round of one server under full load.
pub(crate) struct Round {
    elapsed: Duration,
    processor: Duration,
    latencies: Vec<Duration>,
}

impl Round {
    /// Has each connection do its work, all at once.
    ///
    /// # Errors
    /// That of the first work that fails.
    pub(crate) async fn drive<W, F>(
        process: &Process,
        connections: Vec<Connection>,
        work: W,
    ) -> Outcome<Self>
    where
        W: Fn(usize, Connection) -> F,
        F: Future<Output = Outcome<(Connection, Vec<Duration>)>> + Send + 'static,
    {
        let before = process.schedule()?;
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for (index, connection) in connections.into_iter().enumerate() {
            tasks.spawn(work(index, connection));
        }
        let mut latencies = Vec::new();
        let mut finished = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (connection, own) = done??;
            latencies.extend(own);
            // Kept open: a closing is no part of what is measured.
            finished.push(connection);
        }
        latencies.sort_unstable();
        Ok(Self {
            elapsed: start.elapsed(),
            processor: process.schedule()?.since(&before).running,
            latencies,
        })
    }

    /// Requests per second.
    pub(crate) fn per_second(&self) -> f64 {
        count(self.latencies.len()) / self.elapsed.as_secs_f64()
    }

    /// Processor time of the server for each.
    pub(crate) fn processor_micros_each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / count(self.latencies.len())
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> f64 {
        count(self.latencies.len())
    }

    /// So many hundredths of them took no longer.
    pub(crate) fn micros(&self, hundredth: usize) -> f64 {
        percentile(&self.latencies, hundredth).as_secs_f64() * 1e6
    }
}

/// Tells what the rounds of one server gave.
pub(crate) fn tell(part: &str, name: &str, rounds: &[Round], report: &mut Report) {
    let requests = rounds.iter().map(|round| round.latencies.len()).sum();
    report.tell(format!("{part}/requests/{name}"), count(requests));
    let mut tell = |figure: &str, of: fn(&Round) -> f64| {
        let label = format!("{part}/{figure}/{name}");
        report.tell(label, median(rounds.iter().map(of)));
    };
    tell("requests_per_sec", Round::per_second);
    tell("p50_us", |round| round.micros(50));
    tell("p99_us", |round| round.micros(99));
    tell("processor_us", Round::processor_micros_each);
}

/// The median of a figure of `own` rounds by that of the floor's at the same time.
pub(crate) fn ratio(floor: &[Round], own: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let pairs = floor.iter().zip(own);
    median(pairs.map(|(floor, own)| figure(own) / figure(floor)))
}

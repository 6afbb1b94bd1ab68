//! What does a verification cost the server, against a bare route over the same TLS?

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Outcome;
use super::client::Connection;
use super::plan::Plan;
use super::process::Process;
use super::report::{Report, Target, count, median};

/// A verification costs at most this many times a bare route's processor time.
const LIMIT: f64 = 1.5;

/// One server under load, and what was seen so far.
struct Contestant<'p> {
    process: &'p Process,
    authorization: String,
    rounds: Vec<Round>,
}

/// One round of one server.
struct Round {
    elapsed: Duration,
    processor: Duration,
    latencies: Vec<Duration>,
}

/// Drives the floor and `servers` in turns.
///
/// # Errors
/// An answer that is not 204, or none.
pub(crate) async fn measure(
    plan: &Plan,
    floor: &Process,
    servers: &[Process],
    report: &mut Report,
) -> Outcome<()> {
    let mut contestants = Vec::new();
    for process in std::iter::once(floor).chain(servers) {
        contestants.push(Contestant::new(process).await?);
    }
    for index in 0..plan.verify_rounds {
        for contestant in &mut contestants {
            let round = contestant.run(plan).await?;
            contestant.rounds.push(round);
        }
        // The next round begins with the one that ended this: A B, B A, ...
        contestants.reverse();
        report.note_progress("verify", index + 1, plan.verify_rounds);
    }
    if !plan.verify_rounds.is_multiple_of(2) {
        contestants.reverse();
    }
    let Some((floor, servers)) = contestants.split_first() else {
        return Ok(());
    };
    floor.tell(report);
    for server in servers {
        server.tell(report);
        let pairs = floor.rounds.iter().zip(&server.rounds);
        let ratios = pairs.map(|(floor, own)| own.micros_each() / floor.micros_each());
        let label = format!("verify/processor_ratio/{}", server.process.role.name());
        report.judge(label, median(ratios), Target::AtMost(LIMIT));
    }
    Ok(())
}

impl<'p> Contestant<'p> {
    // The floor gets the same header, and does not look at it.
    async fn new(process: &'p Process) -> Outcome<Self> {
        let token = if process.client_id.is_empty() {
            "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W".to_owned()
        } else {
            let mut connection = Connection::open(process).await?;
            connection.grant(&process.client_id).await?
        };
        Ok(Self {
            process,
            authorization: format!("Bearer {token}"),
            rounds: Vec::new(),
        })
    }

    async fn run(&self, plan: &Plan) -> Outcome<Round> {
        let mut connections = Connection::open_many(self.process, plan.connections).await?;
        for connection in &mut connections {
            connection.verify(&self.authorization).await?;
        }
        let before = self.process.schedule()?;
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for connection in connections {
            let authorization = self.authorization.clone();
            tasks.spawn(verify_until(
                start + plan.verify_round,
                connection,
                authorization,
            ));
        }
        let mut latencies = Vec::new();
        let mut finished = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (connection, own) = done??;
            latencies.extend(own);
            // Kept open: a closing is no part of what is measured.
            finished.push(connection);
        }
        Ok(Round {
            elapsed: start.elapsed(),
            processor: self.process.schedule()?.since(&before).running,
            latencies,
        })
    }

    fn tell(&self, report: &mut Report) {
        let name = self.process.role.name();
        let mut latencies: Vec<Duration> = self
            .rounds
            .iter()
            .flat_map(|round| round.latencies.iter().copied())
            .collect();
        latencies.sort_unstable();
        let rates = self.rounds.iter().map(Round::per_second);
        let costs = self.rounds.iter().map(Round::micros_each);
        report.tell(format!("verify/requests/{name}"), count(latencies.len()));
        report.tell(format!("verify/requests_per_sec/{name}"), median(rates));
        for (label, hundredths) in [("p50", 50), ("p99", 99)] {
            let at = latencies.len().saturating_sub(1) * hundredths / 100;
            let latency = latencies.get(at).copied().unwrap_or_default();
            let label = format!("verify/{label}_us/{name}");
            report.tell(label, latency.as_secs_f64() * 1e6);
        }
        report.tell(format!("verify/processor_us/{name}"), median(costs));
    }
}

impl Round {
    fn per_second(&self) -> f64 {
        count(self.latencies.len()) / self.elapsed.as_secs_f64()
    }

    fn micros_each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / count(self.latencies.len())
    }
}

async fn verify_until(
    deadline: Instant,
    mut connection: Connection,
    authorization: String,
) -> Outcome<(Connection, Vec<Duration>)> {
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    while now < deadline {
        connection.verify(&authorization).await?;
        let end = Instant::now();
        latencies.push(end - now);
        now = end;
    }
    Ok((connection, latencies))
}

//! One token verified again and again: the local copy answers.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::client::Connection;
use crate::plan::Plan;
use crate::process::Process;
use crate::report::{Report, Target};
use crate::round::{Round, ratio, tell};

/// A verification costs at most this many times a bare route's processor time.
const PROCESSOR_LIMIT: f64 = 1.15;
/// Under full load 99 of 100 take at most this many times as long as those of a bare route.
const P99_LIMIT: f64 = 1.5;

/// One server under load, and what was seen so far.
struct Contestant<'p> {
    process: &'p Process,
    authorization: String,
    rounds: Vec<Round>,
}

/// Drives the floor and `servers` in turns.
pub(super) async fn measure(
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
    tell("verify", floor.name(), &floor.rounds, report);
    for server in servers {
        let name = server.name();
        tell("verify", name, &server.rounds, report);
        let processor = ratio(&floor.rounds, &server.rounds, Round::processor_micros_each);
        let label = format!("verify/processor_ratio/{name}");
        report.judge(label, processor, Target::AtMost(PROCESSOR_LIMIT));
        let p99 = ratio(&floor.rounds, &server.rounds, |round| round.micros(99));
        let label = format!("verify/p99_ratio/{name}");
        report.judge(label, p99, Target::AtMost(P99_LIMIT));
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

    fn name(&self) -> &'static str {
        self.process.role.name()
    }

    async fn run(&self, plan: &Plan) -> Outcome<Round> {
        let mut connections = Connection::open_many(self.process, plan.connections).await?;
        for connection in &mut connections {
            connection.verify(&self.authorization).await?;
        }
        let deadline = Instant::now() + plan.verify_round;
        let work = |_, connection| verify_until(deadline, connection, self.authorization.clone());
        Round::drive(self.process, connections, work).await
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

//! Verifications at a modest rate, calm and beside a flood of logins: the hashing threads have the
//! processors, and must not keep a verification waiting.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use warp_sentinel::sentinel::dev;

use crate::Outcome;
use crate::client::Connection;
use crate::plan::Plan;
use crate::process::Process;
use crate::report::{Report, Target, median};
use crate::round::{Round, tell};

/// Beside a flood 99 of 100 verifications take at most this many times as long as in calm.
const LIMIT: f64 = 1.2;
/// Verifications per second: little, so that what is seen is the wait for a processor.
const PER_SECOND: u32 = 500;
/// Clients that log in at the same time, more than the queue for passwords takes.
const FLOODERS: usize = 96;
/// Until the flood has filled the queue.
const RAMP: Duration = Duration::from_millis(500);
/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Measures each server alone, calm and flooded in turns.
pub(super) async fn measure(plan: &Plan, servers: &[Process], report: &mut Report) -> Outcome<()> {
    for server in servers {
        let token = Connection::open(server)
            .await?
            .grant(&server.client_id)
            .await?;
        let authorization = format!("Bearer {token}");
        let (mut calm, mut flooded) = (Vec::new(), Vec::new());
        for index in 0..plan.verify_rounds {
            if index % 2 == 0 {
                calm.push(run(plan, server, &authorization).await?);
            }
            flooded.push(run_flooded(plan, server, &authorization).await?);
            if index % 2 == 1 {
                calm.push(run(plan, server, &authorization).await?);
            }
            report.note_progress("verify beside logins", index + 1, plan.verify_rounds);
        }
        let name = server.role.name();
        tell("verify_calm", name, &calm, report);
        tell("verify_flooded", name, &flooded, report);
        let pairs = calm.iter().zip(&flooded);
        let ratios = pairs.map(|(calm, flooded)| flooded.micros(99) / calm.micros(99));
        let label = format!("verify_flooded/p99_ratio/{name}");
        report.judge(label, median(ratios), Target::AtMost(LIMIT));
    }
    Ok(())
}

async fn run(plan: &Plan, server: &Process, authorization: &str) -> Outcome<Round> {
    let mut connections = Connection::open_many(server, plan.connections).await?;
    for connection in &mut connections {
        connection.verify(authorization).await?;
    }
    let start = Instant::now();
    let (end, every) = (
        start + plan.verify_round,
        Duration::from_secs(1) / PER_SECOND,
    );
    let period = every * u32::try_from(plan.connections)?;
    let work = |index, connection| {
        let first = start + every * u32::try_from(index).unwrap_or(u32::MAX);
        verify_at(connection, authorization.to_owned(), (first, period, end))
    };
    Round::drive(server, connections, work).await
}

async fn run_flooded(plan: &Plan, server: &Process, authorization: &str) -> Outcome<Round> {
    let mut flood = JoinSet::new();
    for connection in Connection::open_many(server, FLOODERS).await? {
        flood.spawn(log_in_on(connection, server.client_id.clone()));
    }
    sleep(RAMP).await;
    let round = run(plan, server, authorization).await?;
    // None of them ends by itself but with an error.
    if let Some(ended) = flood.try_join_next() {
        ended??;
    }
    Ok(round)
}

async fn log_in_on(mut connection: Connection, client_id: String) -> Outcome<()> {
    loop {
        let password = format!("not {}", dev::PASSWORD);
        match connection.try_grant(&client_id, &password).await?.as_u16() {
            400 => {}
            503 => sleep(RETRY_AFTER).await,
            other => return Err(format!("a wrong password was answered with {other}").into()),
        }
    }
}

/// Verifies at set times. Who is late because of the answer before has waited since then; who was
/// woken late by its own timer has not.
async fn verify_at(
    mut connection: Connection,
    authorization: String,
    (mut due, period, end): (Instant, Duration, Instant),
) -> Outcome<(Connection, Vec<Duration>)> {
    let mut latencies = Vec::new();
    while due < end {
        let start = if Instant::now() < due {
            sleep_until(due.into()).await;
            Instant::now()
        } else {
            due
        };
        connection.verify(&authorization).await?;
        latencies.push(start.elapsed());
        due += period;
    }
    Ok((connection, latencies))
}

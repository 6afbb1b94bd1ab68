//! Tokens that Redis has and the local copy lacks: each is verified once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::client::Connection;
use crate::plan::Plan;
use crate::process::{Process, Role};
use crate::report::{Report, Target};
use crate::round::{Round, ratio, tell};
use crate::stores::Stores;
use crate::{published, sessions};

/// With an empty local copy a verification costs at most this many times a bare route's processor
/// time.
const PROCESSOR_LIMIT: f64 = 1.7;

/// Drives the floor and a server that has all these tokens in its stores, in turns.
pub(super) async fn measure(
    plan: &Plan,
    floor: &Process,
    stores: &Stores,
    report: &mut Report,
) -> Outcome<()> {
    let stores = stores.beside("cold");
    // Each connection warms up with one.
    let each = plan.cold_tokens + plan.connections;
    let tokens = write(&stores, each * plan.verify_rounds).await?;
    let server = Process::start(Role::MongoDb(stores))?;
    let (mut bare, mut own) = (Vec::new(), Vec::new());
    for (index, tokens) in tokens.chunks(each).enumerate() {
        let bearers = tokens.iter().map(|token| format!("Bearer {token}"));
        let bearers = Arc::new(bearers.collect());
        if index % 2 == 0 {
            bare.push(run(plan, floor, &bearers).await?);
            own.push(run(plan, &server, &bearers).await?);
        } else {
            own.push(run(plan, &server, &bearers).await?);
            bare.push(run(plan, floor, &bearers).await?);
        }
        report.note_progress("verify cold", index + 1, plan.verify_rounds);
    }
    let name = server.role.name();
    tell("verify_cold", floor.role.name(), &bare, report);
    tell("verify_cold", name, &own, report);
    let processor = ratio(&bare, &own, Round::processor_micros_each);
    let label = format!("verify_cold/processor_ratio/{name}");
    report.judge(label, processor, Target::AtMost(PROCESSOR_LIMIT));
    Ok(())
}

/// Puts so many tokens into the truth and into Redis, before a server runs that would read them.
async fn write(stores: &Stores, count: usize) -> Outcome<Vec<String>> {
    let sessions = sessions::write(&stores.open().await?, count).await?;
    let tokens: Vec<String> = sessions
        .into_iter()
        .map(|session| session.access_token)
        .collect();
    published::write(stores, &tokens).await?;
    Ok(tokens)
}

async fn run(plan: &Plan, process: &Process, tokens: &Arc<Vec<String>>) -> Outcome<Round> {
    let mut connections = Connection::open_many(process, plan.connections).await?;
    for (connection, token) in connections.iter_mut().zip(tokens.iter()) {
        connection.verify_patiently(token).await?;
    }
    let count = plan.connections;
    let work = |index, connection| verify_each(connection, Arc::clone(tokens), (count, index));
    Round::drive(process, connections, work).await
}

/// Verifies every so-many-th token once.
async fn verify_each(
    mut connection: Connection,
    tokens: Arc<Vec<String>>,
    (connections, index): (usize, usize),
) -> Outcome<(Connection, Vec<Duration>)> {
    let mut latencies = Vec::new();
    let own = tokens.iter().skip(connections + index).step_by(connections);
    for token in own {
        let start = Instant::now();
        connection.verify_patiently(token).await?;
        latencies.push(start.elapsed());
    }
    Ok((connection, latencies))
}

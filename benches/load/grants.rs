//! How many password grants are there for each bare bcrypt hash?
//!
//! Both need the whole machine: run this on a quiet one, for what else runs there moves hashes per
//! second far more than the target allows. What is judged is the rate by the clock. Beside it stands
//! what the scheduler tells of the same rounds: the share of time in which each hashing thread runs
//! or is ready to, by the processor time of one; on a busy machine that is the one to believe.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use warp_sentinel::sentinel::dev;

use super::Outcome;
use super::client::Connection;
use super::plan::Plan;
use super::process::{Process, share_of_this_thread};
use super::report::{Report, Target, median};
use super::schedule::Share;

/// Password grants per second are at least this many times bare hashes per second.
const LIMIT: f64 = 0.95;
/// 12 rounds, as the server hashes by default.
const COST: u32 = 12;
/// How the server's hashing threads are called.
const WORKERS: &str = "bcrypt-";
/// From the first request until each worker has something to hash.
const RAMP: Duration = Duration::from_millis(200);

/// What one round gave.
#[derive(Clone, Copy)]
struct Round {
    /// By the clock.
    per_second: f64,
    /// Processor time for each, of all that took part in it.
    processor: Duration,
    /// The share of time in which a hashing thread had something to do.
    busy: f64,
}

/// Runs bare bcrypt and the password grants of `servers` in turns.
///
/// # Errors
/// A grant that is refused, or not answered.
pub(crate) fn measure(
    plan: &Plan,
    runtime: &Runtime,
    servers: &[Process],
    report: &mut Report,
) -> Outcome<()> {
    let hash = bcrypt::hash(dev::PASSWORD, COST)?;
    let mut bare_rounds = Vec::new();
    let mut grant_rounds = vec![Vec::new(); servers.len()];
    for index in 0..plan.grant_rounds {
        // A B, B A, ...: what changes over time changes both.
        let is_bare_first = index % 2 == 0;
        if is_bare_first {
            bare_rounds.push(run_bare(plan, &hash)?);
        }
        for (server, rounds) in servers.iter().zip(&mut grant_rounds) {
            rounds.push(runtime.block_on(run_grants(plan, server))?);
        }
        if !is_bare_first {
            bare_rounds.push(run_bare(plan, &hash)?);
        }
        report.note_progress("grants", index + 1, plan.grant_rounds);
    }
    tell("bare_bcrypt", &bare_rounds, report);
    for (server, rounds) in servers.iter().zip(&grant_rounds) {
        let name = server.role.name();
        tell(name, rounds, report);
        let pairs = bare_rounds.iter().zip(rounds);
        let by_clock = pairs
            .clone()
            .map(|(bare, own)| own.per_second / bare.per_second);
        let label = format!("grants/rate_ratio/{name}");
        report.judge(label, median(by_clock), Target::AtLeast(LIMIT));
        let undisturbed = pairs.map(|(bare, own)| own.undisturbed() / bare.undisturbed());
        report.tell(
            format!("grants/undisturbed_ratio/{name}"),
            median(undisturbed),
        );
    }
    Ok(())
}

fn tell(name: &str, rounds: &[Round], report: &mut Report) {
    let rates = rounds.iter().map(|round| round.per_second);
    report.tell(format!("grants/per_sec/{name}"), median(rates));
    let costs = rounds
        .iter()
        .map(|round| round.processor.as_secs_f64() * 1e3);
    report.tell(format!("grants/processor_ms/{name}"), median(costs));
    let busy = rounds.iter().map(|round| round.busy);
    report.tell(format!("grants/busy_share/{name}"), median(busy));
}

impl Round {
    /// How many a core gives each second when nothing else runs.
    fn undisturbed(&self) -> f64 {
        self.busy / self.processor.as_secs_f64()
    }
}

// Each thread is measured up to its own last hash, so no part of a hash is lost.
fn run_bare(plan: &Plan, hash: &str) -> Outcome<Round> {
    let length = plan.grant_round;
    let threads: Vec<Outcome<Round>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..plan.cores)
            .map(|_| scope.spawn(|| hash_for(length, hash)))
            .collect();
        handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|_| Err("bcrypt failed".into()))
            })
            .collect()
    });
    let threads = threads.into_iter().collect::<Outcome<Vec<Round>>>()?;
    Ok(Round {
        per_second: threads.iter().map(|thread| thread.per_second).sum(),
        processor: threads
            .iter()
            .map(|thread| thread.processor)
            .sum::<Duration>()
            / u32::try_from(plan.cores)?,
        busy: 1.0,
    })
}

fn hash_for(length: Duration, hash: &str) -> Outcome<Round> {
    let (start, before) = (Instant::now(), share_of_this_thread()?);
    let mut hashes = 0_u32;
    while start.elapsed() < length {
        if !bcrypt::verify(dev::PASSWORD, hash)? {
            return Err("bcrypt does not know its own hash".into());
        }
        hashes += 1;
    }
    Ok(Round {
        per_second: f64::from(hashes) / start.elapsed().as_secs_f64(),
        processor: share_of_this_thread()?.since(before).running / hashes.max(1),
        busy: 1.0,
    })
}

async fn run_grants(plan: &Plan, server: &Process) -> Outcome<Round> {
    let connections = Connection::open_many(server, plan.clients).await?;
    let before = server.schedule()?;
    let start = Instant::now();
    let deadline = start + plan.grant_round;
    let mut tasks = JoinSet::new();
    for connection in connections {
        tasks.spawn(grant_until(deadline, connection, server.client_id.clone()));
    }
    let busy = busy_share(plan, server, (start + RAMP, deadline)).await?;
    let mut ends = Vec::new();
    while let Some(done) = tasks.join_next().await {
        ends.extend(done??);
    }
    let used = server.schedule()?.since(&before).running;
    let processor = used / u32::try_from(ends.len())?.max(1);
    ends.sort_unstable();
    // Those after the deadline find less and less company.
    ends.retain(|end| *end <= deadline);
    // From the end of the first hash of each worker to the end of the last one.
    let first = ends.get(plan.cores - 1).copied();
    let (Some(first), Some(last)) = (first, ends.last().copied()) else {
        return Err("too few grants in a round: make it longer".into());
    };
    let counted = u32::try_from(ends.len() - plan.cores)?;
    Ok(Round {
        per_second: f64::from(counted) / (last - first).as_secs_f64(),
        processor,
        busy,
    })
}

// While logins queue, a worker that sleeps is one that the server keeps waiting.
async fn busy_share(
    plan: &Plan,
    server: &Process,
    (start, end): (Instant, Instant),
) -> Outcome<f64> {
    sleep_until(start.into()).await;
    let (start, before) = (Instant::now(), server.schedule()?);
    sleep_until(end.into()).await;
    let Share { running, waiting } = server.schedule()?.of_named(WORKERS, &before);
    let all = start.elapsed() * u32::try_from(plan.cores)?;
    Ok((running + waiting).as_secs_f64() / all.as_secs_f64())
}

async fn grant_until(
    deadline: Instant,
    mut connection: Connection,
    client_id: String,
) -> Outcome<Vec<Instant>> {
    let mut ends = Vec::new();
    while Instant::now() < deadline {
        connection.grant(&client_id).await?;
        ends.push(Instant::now());
    }
    Ok(ends)
}

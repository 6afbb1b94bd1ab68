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
use super::tally::percentile;

/// Password grants per second are at least this many times bare hashes per second.
const RATE: f64 = 3.3;
/// A lone grant takes at most this many times one bare hash.
const LONE_LATENCY: f64 = 1.05;
/// 99 of 100 grants of many clients take at most this many times a lone one.
const CROWDED_LATENCY: f64 = 2.2;
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
    /// Of each, in the middle.
    usual: Duration,
    /// Of each, 99 of 100.
    slow: Duration,
}

/// The rounds of one contestant.
#[derive(Default)]
struct Rounds {
    /// With something to do for all cores.
    crowded: Vec<Round>,
    /// With one thing at a time.
    lone: Vec<Round>,
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
    let mut bare = Rounds::default();
    let mut grants: Vec<Rounds> = servers.iter().map(|_| Rounds::default()).collect();
    for index in 0..plan.grant_rounds {
        // A B, B A, ...: what changes over time changes both.
        let is_bare_first = index % 2 == 0;
        if is_bare_first {
            bare.add_bare(plan, &hash)?;
        }
        for (server, rounds) in servers.iter().zip(&mut grants) {
            runtime.block_on(rounds.add_grants(plan, server))?;
        }
        if !is_bare_first {
            bare.add_bare(plan, &hash)?;
        }
        report.note_progress("grants", index + 1, plan.grant_rounds);
    }
    tell("bare_bcrypt", &bare.crowded, report);
    for (server, rounds) in servers.iter().zip(&grants) {
        judge(server.role.name(), rounds, &bare, report);
    }
    Ok(())
}

fn judge(name: &str, own: &Rounds, bare: &Rounds, report: &mut Report) {
    tell(name, &own.crowded, report);
    let pairs = || bare.crowded.iter().zip(&own.crowded);
    let by_clock = pairs().map(|(bare, own)| own.per_second / bare.per_second);
    let label = format!("grants/rate_ratio/{name}");
    report.judge(label, median(by_clock), Target::AtLeast(RATE));
    let undisturbed = pairs().map(|(bare, own)| own.undisturbed() / bare.undisturbed());
    let label = format!("grants/undisturbed_ratio/{name}");
    report.tell(label, median(undisturbed));
    let lone = bare.lone.iter().zip(&own.lone);
    let lone = lone.map(|(bare, own)| own.usual.as_secs_f64() / bare.usual.as_secs_f64());
    let label = format!("grants/lone_latency_ratio/{name}");
    report.judge(label, median(lone), Target::AtMost(LONE_LATENCY));
    let crowded = own.lone.iter().zip(&own.crowded);
    let crowded = crowded.map(|(lone, all)| all.slow.as_secs_f64() / lone.usual.as_secs_f64());
    let label = format!("grants/crowded_p99_ratio/{name}");
    report.judge(label, median(crowded), Target::AtMost(CROWDED_LATENCY));
}

impl Rounds {
    fn add_bare(&mut self, plan: &Plan, hash: &str) -> Outcome<()> {
        self.crowded
            .push(run_bare(plan.grant_round, plan.cores, hash)?);
        self.lone.push(run_bare(plan.grant_round / 2, 1, hash)?);
        Ok(())
    }

    async fn add_grants(&mut self, plan: &Plan, server: &Process) -> Outcome<()> {
        let crowded = run_grants(plan, server, (plan.clients, plan.grant_round));
        self.crowded.push(crowded.await?);
        let lone = run_grants(plan, server, (1, plan.grant_round / 2));
        self.lone.push(lone.await?);
        Ok(())
    }
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
fn run_bare(length: Duration, count: usize, hash: &str) -> Outcome<Round> {
    let threads: Vec<Outcome<Round>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..count)
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
    let all = u32::try_from(count)?;
    Ok(Round {
        per_second: threads.iter().map(|thread| thread.per_second).sum(),
        processor: threads.iter().map(|own| own.processor).sum::<Duration>() / all,
        busy: 1.0,
        usual: threads.iter().map(|own| own.usual).sum::<Duration>() / all,
        slow: threads.iter().map(|own| own.slow).max().unwrap_or_default(),
    })
}

fn hash_for(length: Duration, hash: &str) -> Outcome<Round> {
    let (start, before) = (Instant::now(), share_of_this_thread()?);
    let mut latencies = Vec::new();
    while start.elapsed() < length {
        let began = Instant::now();
        if !bcrypt::verify(dev::PASSWORD, hash)? {
            return Err("bcrypt does not know its own hash".into());
        }
        latencies.push(began.elapsed());
    }
    let hashes = u32::try_from(latencies.len())?;
    let per_second = f64::from(hashes) / start.elapsed().as_secs_f64();
    let (usual, slow) = spread(latencies);
    Ok(Round {
        per_second,
        processor: share_of_this_thread()?.since(before).running / hashes.max(1),
        busy: 1.0,
        usual,
        slow,
    })
}

async fn run_grants(
    plan: &Plan,
    server: &Process,
    (clients, length): (usize, Duration),
) -> Outcome<Round> {
    let connections = Connection::open_many(server, clients).await?;
    let before = server.schedule()?;
    let start = Instant::now();
    let deadline = start + length;
    let mut tasks = JoinSet::new();
    for connection in connections {
        tasks.spawn(grant_until(deadline, connection, server.client_id.clone()));
    }
    let busy = busy_share(plan, server, (start + RAMP, deadline)).await?;
    let mut grants = Vec::new();
    while let Some(done) = tasks.join_next().await {
        grants.extend(done??);
    }
    let used = server.schedule()?.since(&before).running;
    let processor = used / u32::try_from(grants.len())?.max(1);
    grants.sort_unstable();
    // Those after the deadline find less and less company.
    grants.retain(|(end, _)| *end <= deadline);
    // From the end of the first hash of each worker to the end of the last one.
    let first = grants.get(plan.cores.min(clients) - 1).copied();
    let (Some((first, _)), Some((last, _))) = (first, grants.last().copied()) else {
        return Err("too few grants in a round: make it longer".into());
    };
    let counted = u32::try_from(grants.len() - plan.cores.min(clients))?;
    let (usual, slow) = spread(grants.into_iter().map(|(_, took)| took).collect());
    Ok(Round {
        per_second: f64::from(counted) / (last - first).as_secs_f64(),
        processor,
        busy,
        usual,
        slow,
    })
}

/// The middle, and 99 of 100.
fn spread(mut latencies: Vec<Duration>) -> (Duration, Duration) {
    latencies.sort_unstable();
    (percentile(&latencies, 50), percentile(&latencies, 99))
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

// When each was answered, and how long it took.
async fn grant_until(
    deadline: Instant,
    mut connection: Connection,
    client_id: String,
) -> Outcome<Vec<(Instant, Duration)>> {
    let mut grants = Vec::new();
    let mut now = Instant::now();
    while now < deadline {
        connection.grant(&client_id).await?;
        let end = Instant::now();
        grants.push((end, end - now));
        now = end;
    }
    Ok(grants)
}

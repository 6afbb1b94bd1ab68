//! How many new TLS connections does the server take for each that bare tokio-rustls takes? And
//! does a client that comes again go on with its session?
//!
//! A connection is a TCP connect, a full handshake, one request, and the end. The clients make
//! half of each handshake on the same machine, which brings the rates closer to each other; so the
//! processor time of server and floor stands beside them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Response;
use hyper::header::DATE;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::task::JoinSet;

use super::Outcome;
use super::client::Dialer;
use super::plan::Plan;
use super::process::Process;
use super::report::{Report, Target, count, median};
use super::tally::Tally;

/// New connections per second are at least this many times those of the floor.
const LIMIT: f64 = 0.9;
/// What is asked for: an answer that costs nearly nothing, and needs no token.
const PATH: &str = "/healthz";
/// Clients that come again, for each version of TLS.
const RETURNING: usize = 100;

/// What one round gave.
struct Round {
    per_second: f64,
    /// Processor time for each.
    processor: Duration,
}

/// Runs `floor` and `server` in turns.
///
/// # Errors
/// A connection that fails, or different answers.
pub(crate) async fn measure(
    plan: &Plan,
    floor: &Process,
    server: &Process,
    report: &mut Report,
) -> Outcome<()> {
    check_answers(floor, server).await?;
    let (mut bare, mut own) = (Vec::new(), Vec::new());
    for index in 0..plan.connect_rounds {
        // A B, B A, ...: what changes over time changes both.
        let is_bare_first = index % 2 == 0;
        if is_bare_first {
            bare.push(connect(plan, floor).await?);
        }
        own.push(connect(plan, server).await?);
        if !is_bare_first {
            bare.push(connect(plan, floor).await?);
        }
        report.note_progress("connections", index + 1, plan.connect_rounds);
    }
    for (process, rounds) in [(floor, &bare), (server, &own)] {
        let name = process.role.name();
        let rates = rounds.iter().map(|round| round.per_second);
        report.tell(format!("connections/per_sec/{name}"), median(rates));
        let costs = rounds.iter().map(|round| round.processor.as_secs_f64());
        report.tell(
            format!("connections/processor_us/{name}"),
            median(costs) * 1e6,
        );
    }
    let pairs = || bare.iter().zip(&own);
    let rates = pairs().map(|(bare, own)| own.per_second / bare.per_second);
    let label = "connections/rate_ratio".to_owned();
    report.judge(label, median(rates), Target::AtLeast(LIMIT));
    let costs = pairs().map(|(bare, own)| own.processor.div_duration_f64(bare.processor));
    report.tell("connections/processor_ratio".to_owned(), median(costs));
    for (name, version) in [("tls13", &TLS13), ("tls12", &TLS12)] {
        let label = format!("connections/resumed_share/{name}");
        let share = resumed_share(server, version).await?;
        report.judge(label, share, Target::AtLeast(1.0));
    }
    Ok(())
}

// A shorter answer would be a cheaper one.
async fn check_answers(floor: &Process, server: &Process) -> Outcome<()> {
    let mut answers = Vec::new();
    for process in [floor, server] {
        let connection = Dialer::new(process)?.dial().await?;
        answers.push(timeless(connection.get_and_close(PATH).await?));
    }
    if answers[0] == answers[1] {
        Ok(())
    } else {
        Err(format!("floor and server do not answer the same: {answers:?}").into())
    }
}

/// An answer as text, its headers in the order of their names, without the time of day.
fn timeless(answer: Response<Bytes>) -> (String, Vec<String>, Bytes) {
    let (mut head, body) = answer.into_parts();
    head.headers.remove(DATE);
    let mut headers: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort_unstable();
    (head.status.to_string(), headers, body)
}

async fn connect(plan: &Plan, process: &Process) -> Outcome<Round> {
    let dialer = Dialer::new(process)?.forgetful();
    let before = process.schedule()?;
    let start = Instant::now();
    let deadline = start + plan.connect_round;
    let mut tasks = JoinSet::new();
    for _ in 0..plan.connections {
        tasks.spawn(connect_until(deadline, dialer.clone()));
    }
    let mut tally = Tally::new(start, plan.connect_round);
    let mut all = 0;
    while let Some(done) = tasks.join_next().await {
        let done = done??;
        all += done.len();
        tally.add(&done);
    }
    let used = process.schedule()?.since(&before).running;
    Ok(Round {
        per_second: tally.pace().per_second,
        processor: used / u32::try_from(all)?.max(1),
    })
}

async fn connect_until(deadline: Instant, dialer: Dialer) -> Outcome<Vec<(Instant, Instant)>> {
    let mut done = Vec::new();
    let mut now = Instant::now();
    while now < deadline {
        let answer = dialer.dial().await?.get_and_close(PATH).await?;
        if !answer.status().is_success() {
            return Err(format!("{PATH} was answered {}", answer.status()).into());
        }
        let end = Instant::now();
        done.push((now, end));
        now = end;
    }
    Ok(done)
}

/// Of those who could go on with a session, how many did.
async fn resumed_share(
    server: &Process,
    version: &'static SupportedProtocolVersion,
) -> Outcome<f64> {
    let mut resumed = 0;
    for _ in 0..RETURNING {
        let dialer = Dialer::with_versions(server.address, &server.certificate(), &[version])?;
        // The tickets of TLS 1.3 come with the first answer.
        dialer.dial().await?.get_and_close(PATH).await?;
        let again = dialer.dial().await?;
        resumed += usize::from(again.is_resumed);
        again.get_and_close(PATH).await?;
    }
    Ok(count(resumed) / count(RETURNING))
}

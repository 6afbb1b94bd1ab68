//! How many refresh grants are there for each bare write of a token document?
//!
//! Both are durable: a majority has them, in its journal. The floor writes each of its documents
//! once for what the server does with several writes, reads, and Redis. Both have the machine to
//! themselves in their turns, but the server shares it with its clients and their TLS.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::Outcome;
use super::client::{Connection, Dialer};
use super::plan::Plan;
use super::process::{Process, Role};
use super::report::{Report, Target, median};
use super::sessions::{self, Session};
use super::stores::Stores;
use super::tally::{Pace, Tally};

/// Refreshes per second of many clients are at least this many times bare writes per second.
const RATE_LIMIT: f64 = 0.7;
/// A lone refresh takes at most this many times as long as a lone bare write.
const LATENCY_LIMIT: f64 = 1.5;

/// What one round gave.
struct Round {
    pace: Pace,
    /// Processor time of the server or the floor in a second.
    processor: f64,
}

/// The two, with what they work on.
struct Contest<'p> {
    length: Duration,
    runtime: &'p Runtime,
    floor: Process,
    server: Process,
    sessions: Vec<Session>,
}

/// Runs bare writes and refreshes in turns, with many callers and with one.
///
/// # Errors
/// A refresh that is refused or not answered, or a write that is not done.
pub(crate) fn measure(
    plan: &Plan,
    runtime: &Runtime,
    stores: &Stores,
    report: &mut Report,
) -> Outcome<()> {
    let (bare, own) = (stores.beside("bare_writes"), stores.beside("refresh"));
    let sessions = runtime.block_on(async {
        // Of most nobody asks at the moment.
        let all = plan.refresh_sessions.max(plan.refresh_clients);
        sessions::write(&bare.open().await?, all).await?;
        sessions::write(&own.open().await?, all).await
    })?;
    let mut contest = Contest {
        length: plan.refresh_round,
        runtime,
        floor: Process::start(Role::BareWrites(bare))?,
        server: Process::start(Role::MongoDb(own))?,
        sessions,
    };
    let many = plan.refresh_clients;
    let (writes, refreshes) = contest.run(plan.refresh_rounds, many, report)?;
    let ratios = writes.iter().zip(&refreshes);
    let ratios = ratios.map(|(bare, own)| own.pace.per_second / bare.pace.per_second);
    let label = format!("refresh/rate_ratio/{many}_clients");
    report.judge(label, median(ratios), Target::AtLeast(RATE_LIMIT));

    let (writes, refreshes) = contest.run(plan.refresh_rounds, 1, report)?;
    let ratios = writes.iter().zip(&refreshes);
    let ratios = ratios.map(|(bare, own)| own.pace.median_micros / bare.pace.median_micros);
    let label = "refresh/latency_ratio/1_client".to_owned();
    report.judge(label, median(ratios), Target::AtMost(LATENCY_LIMIT));
    Ok(())
}

impl Contest<'_> {
    fn run(
        &mut self,
        rounds: usize,
        callers: usize,
        report: &mut Report,
    ) -> Outcome<(Vec<Round>, Vec<Round>)> {
        let (mut writes, mut refreshes) = (Vec::new(), Vec::new());
        for index in 0..rounds {
            // A B, B A, ...: what changes over time changes both.
            let is_bare_first = index % 2 == 0;
            if is_bare_first {
                writes.push(self.write(callers)?);
            }
            refreshes.push(self.refresh(callers)?);
            if !is_bare_first {
                writes.push(self.write(callers)?);
            }
            report.note_progress("refresh", index + 1, rounds);
        }
        tell(&format!("{callers}/bare_writes"), &writes, report);
        tell(&format!("{callers}/mongodb"), &refreshes, report);
        Ok((writes, refreshes))
    }

    fn write(&mut self, callers: usize) -> Outcome<Round> {
        let before = self.floor.schedule()?;
        let order = format!("{callers} {}", self.length.as_millis());
        let pace = Pace::parse(&self.floor.ask(&order)?)?;
        let used = self.floor.schedule()?.since(&before).running;
        Ok(Round::new(pace, used, self.length))
    }

    fn refresh(&mut self, callers: usize) -> Outcome<Round> {
        let sessions = self.sessions.split_off(self.sessions.len() - callers);
        let done = refresh(&self.server, sessions, self.length);
        let (round, sessions) = self.runtime.block_on(done)?;
        self.sessions.extend(sessions);
        Ok(round)
    }
}

impl Round {
    fn new(pace: Pace, used: Duration, length: Duration) -> Self {
        Self {
            pace,
            processor: used.as_secs_f64() / length.as_secs_f64(),
        }
    }
}

fn tell(name: &str, rounds: &[Round], report: &mut Report) {
    let mut tell = |what: &str, figures: Vec<f64>| {
        let label = format!("refresh/{what}/{name}");
        report.tell(label, median(figures.into_iter()));
    };
    let of = |figure: fn(&Round) -> f64| rounds.iter().map(figure).collect();
    tell("per_sec", of(|round| round.pace.per_second));
    tell("p50_us", of(|round| round.pace.median_micros));
    let cost = |round: &Round| round.processor * 1e6 / round.pace.per_second;
    tell("processor_us", of(cost));
}

async fn refresh(
    server: &Process,
    sessions: Vec<Session>,
    length: Duration,
) -> Outcome<(Round, Vec<Session>)> {
    let dialer = Dialer::new(server)?;
    let mut callers = Vec::new();
    for session in sessions {
        callers.push((dialer.dial().await?, session));
    }
    let before = server.schedule()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (connection, session) in callers {
        tasks.spawn(refresh_until(start + length, connection, session));
    }
    let mut tally = Tally::new(start, length);
    let mut sessions = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (session, done) = done??;
        tally.add(&done);
        sessions.push(session);
    }
    let used = server.schedule()?.since(&before).running;
    Ok((Round::new(tally.pace(), used, length), sessions))
}

async fn refresh_until(
    deadline: Instant,
    mut connection: Connection,
    mut session: Session,
) -> Outcome<(Session, Vec<(Instant, Instant)>)> {
    let mut done = Vec::new();
    let mut now = Instant::now();
    while now < deadline {
        let Session {
            client_id,
            refresh_token,
            ..
        } = &session;
        session.refresh_token = connection.refresh(client_id, refresh_token).await?;
        let end = Instant::now();
        done.push((now, end));
        now = end;
    }
    Ok((session, done))
}

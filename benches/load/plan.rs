//! How long and how much, from the environment and the arguments.

use std::time::Duration;

use super::Outcome;
use super::stores::{self, Stores};

/// A part of the bench that can run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Memory of the fresh server, of a connection, and of a token.
    Memory,
    /// From the start of the program until it is ready.
    Start,
    /// New TLS connections against bare tokio-rustls.
    Connections,
    /// `/oauth/verify` against the floor.
    Verify,
    /// Refresh grants against bare writes to MongoDB.
    Refresh,
    /// Password grants against bare bcrypt.
    Grants,
    /// A large database against a small one. It fills them first, and runs only when it is named.
    Size,
}

impl Part {
    /// Each, in the order in which they run.
    const ALL: [Self; 7] = [
        Self::Memory,
        Self::Start,
        Self::Connections,
        Self::Verify,
        Self::Refresh,
        Self::Grants,
        Self::Size,
    ];

    /// What it is called in arguments.
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Start => "start",
            Self::Connections => "connections",
            Self::Verify => "verify",
            Self::Refresh => "refresh",
            Self::Grants => "grants",
            Self::Size => "size",
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    parts: Vec<Part>,
    /// Length of one round of verifications.
    pub(crate) verify_round: Duration,
    /// Rounds of verifications per contestant.
    pub(crate) verify_rounds: usize,
    /// Tokens verified once in a round of those that the local copy lacks.
    pub(crate) cold_tokens: usize,
    /// Tokens in the large database; a tenth as many users.
    pub(crate) size_tokens: usize,
    /// Keep-alive connections that verify, and clients that connect anew again and again.
    pub(crate) connections: usize,
    /// Length of one round of new connections.
    pub(crate) connect_round: Duration,
    /// Rounds of new connections per contestant.
    pub(crate) connect_rounds: usize,
    /// Length of one round of refreshes, and of bare writes.
    pub(crate) refresh_round: Duration,
    /// Rounds of refreshes, with many clients and with one.
    pub(crate) refresh_rounds: usize,
    /// Clients that refresh at a time.
    pub(crate) refresh_clients: usize,
    /// Sessions in the database, theirs among them.
    pub(crate) refresh_sessions: usize,
    /// Idle connections whose memory is measured.
    pub(crate) idle_connections: usize,
    /// Tokens whose memory is measured.
    pub(crate) tokens: usize,
    /// How often the program is started.
    pub(crate) starts: usize,
    /// Length of one round of password grants, and of bare bcrypt.
    pub(crate) grant_round: Duration,
    /// Rounds of password grants per contestant.
    pub(crate) grant_rounds: usize,
    /// Clients that log in at a time.
    pub(crate) clients: usize,
    /// Cores of this machine.
    pub(crate) cores: usize,
    /// Whether a missed target is no failure.
    pub(crate) is_report_only: bool,
    /// The stores that the environment names, if it does.
    pub(crate) stores: Option<Stores>,
}

impl Plan {
    /// Reads the plan.
    ///
    /// # Errors
    /// A number that is none, or a store that is not on this machine.
    pub(crate) fn read(arguments: &[String]) -> Outcome<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let seconds = |name, default| number(name, default).map(Duration::from_secs);
        let count =
            |name, default| -> Outcome<usize> { Ok(usize::try_from(number(name, default)?)?) };
        Ok(Self {
            parts: parts(arguments),
            verify_round: seconds("SENTINEL_BENCH_VERIFY_SECS", 3)?,
            verify_rounds: count("SENTINEL_BENCH_VERIFY_ROUNDS", 5)?,
            cold_tokens: count("SENTINEL_BENCH_COLD_TOKENS", 30_000)?,
            size_tokens: count("SENTINEL_BENCH_SIZE_TOKENS", 1_000_000)?,
            connections: count("SENTINEL_BENCH_CONNECTIONS", 32)?,
            connect_round: seconds("SENTINEL_BENCH_CONNECT_SECS", 3)?,
            connect_rounds: count("SENTINEL_BENCH_CONNECT_ROUNDS", 5)?,
            refresh_round: seconds("SENTINEL_BENCH_REFRESH_SECS", 5)?,
            refresh_rounds: count("SENTINEL_BENCH_REFRESH_ROUNDS", 5)?,
            refresh_clients: count("SENTINEL_BENCH_REFRESH_CLIENTS", 256)?,
            refresh_sessions: count("SENTINEL_BENCH_REFRESH_SESSIONS", 20_000)?,
            idle_connections: count("SENTINEL_BENCH_IDLE_CONNECTIONS", 2_000)?,
            tokens: count("SENTINEL_BENCH_TOKENS", 50_000)?,
            starts: count("SENTINEL_BENCH_STARTS", 7)?,
            grant_round: seconds("SENTINEL_BENCH_GRANT_SECS", 6)?,
            grant_rounds: count("SENTINEL_BENCH_GRANT_ROUNDS", 5)?,
            // Enough that each bcrypt worker has its next login waiting.
            clients: count("SENTINEL_BENCH_CLIENTS", 8.max(2 * cores as u64))?,
            cores,
            is_report_only: variable("SENTINEL_BENCH_REPORT_ONLY").as_deref() == Some("1"),
            stores: stores::named()?,
        })
    }

    /// Whether `part` is to run.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// How many files a process has open at a time, at most.
    pub(crate) fn open_files(&self) -> usize {
        let idle = if self.has(Part::Memory) {
            self.idle_connections
        } else {
            0
        };
        // The rest is for stores, logs, and what the server keeps for itself.
        512 + idle.max(self.refresh_clients).max(self.connections)
    }

    /// Whether a part is to run that measures what the stores cost.
    pub(crate) fn needs_stores(&self) -> bool {
        let needs = |part: &Part| !matches!(part, Part::Connections | Part::Grants);
        self.parts.iter().any(needs)
    }
}

// Arguments that criterion's benches of the same run understand are none of ours.
fn parts(arguments: &[String]) -> Vec<Part> {
    let is_named = |part: &Part| arguments.iter().any(|argument| argument == part.name());
    let named: Vec<Part> = Part::ALL.into_iter().filter(is_named).collect();
    if named.is_empty() {
        let unnamed = |part: &Part| *part != Part::Size;
        Part::ALL.into_iter().filter(unnamed).collect()
    } else {
        named
    }
}

fn number(name: &str, default: u64) -> Outcome<u64> {
    let Some(text) = variable(name) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{name} = {text} is not a number above zero").into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a bench is to do is no setting of the server"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

//! How long and how much, from the environment and the arguments.

use std::time::Duration;

use super::Outcome;
use super::process::Stores;

/// A part of the bench that can run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Memory of the fresh server.
    Memory,
    /// `/oauth/verify` against the floor.
    Verify,
    /// Password grants against bare bcrypt.
    Grants,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    parts: Vec<Part>,
    /// Length of one round of verifications.
    pub(crate) verify_round: Duration,
    /// Rounds of verifications per contestant.
    pub(crate) verify_rounds: usize,
    /// Keep-alive connections that verify.
    pub(crate) connections: usize,
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
    /// The stores of a second server, if there are any.
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
            connections: count("SENTINEL_BENCH_CONNECTIONS", 32)?,
            grant_round: seconds("SENTINEL_BENCH_GRANT_SECS", 6)?,
            grant_rounds: count("SENTINEL_BENCH_GRANT_ROUNDS", 5)?,
            // Enough that each bcrypt worker has its next login waiting.
            clients: count("SENTINEL_BENCH_CLIENTS", 8.max(2 * cores as u64))?,
            cores,
            is_report_only: variable("SENTINEL_BENCH_REPORT_ONLY").as_deref() == Some("1"),
            stores: stores()?,
        })
    }

    /// Whether `part` is to run.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Drops the database that the second server made.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) async fn drop_database(&self) -> Outcome<()> {
        if let Some(Stores {
            mongo_uri,
            database,
            ..
        }) = &self.stores
        {
            let client = mongodb::Client::with_uri_str(mongo_uri).await?;
            client.database(database).drop().await?;
        }
        Ok(())
    }
}

// Arguments that criterion's benches of the same run understand are none of ours.
fn parts(arguments: &[String]) -> Vec<Part> {
    let named: Vec<Part> = arguments
        .iter()
        .filter_map(|argument| match argument.as_str() {
            "memory" => Some(Part::Memory),
            "verify" => Some(Part::Verify),
            "grants" => Some(Part::Grants),
            _ => None,
        })
        .collect();
    if named.is_empty() {
        vec![Part::Memory, Part::Verify, Part::Grants]
    } else {
        named
    }
}

fn stores() -> Outcome<Option<Stores>> {
    let uris = (
        variable("SENTINEL_BENCH_MONGO_URI"),
        variable("SENTINEL_BENCH_REDIS_URL"),
    );
    match uris {
        (Some(mongo_uri), Some(redis_url)) => {
            for uri in [&mongo_uri, &redis_url] {
                check_loopback(uri)?;
            }
            Ok(Some(Stores {
                mongo_uri,
                redis_url,
                database: format!("sentinel_bench_{}", std::process::id()),
            }))
        }
        (None, None) => Ok(None),
        _ => Err("SENTINEL_BENCH_MONGO_URI and SENTINEL_BENCH_REDIS_URL go together".into()),
    }
}

/// Refuses stores of other machines: a bench must not load what others use.
fn check_loopback(uris: &str) -> Outcome<()> {
    let refused = || "the stores of a bench are at addresses of this machine's loopback";
    let (scheme, rest) = uris.split_once("://").ok_or_else(refused)?;
    if scheme == "unix" {
        return Ok(());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    // Of a list of whole addresses only the first would be looked at.
    let is_plain = rest.matches("://").count() == 0 && !scheme.ends_with("+srv");
    if is_plain && hosts.split(',').all(is_loopback) {
        Ok(())
    } else {
        Err(refused().into())
    }
}

fn is_loopback(host: &str) -> bool {
    // A Unix socket in a MongoDB address is a percent-encoded path.
    if host.starts_with("%2F") || host.starts_with("%2f") {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

//! The fast copy in Redis: the live access tokens, for this program's servers and for any other
//! program that reads them.
//!
//! Under each token stands the user's identifier, as Flask-Sentinel writes it; beside it, in the
//! same slot, the whole grant (`keys`). Nothing else of ours may be a key there: a program that
//! reads this Redis lets in any bearer that names a key. Both keys end by their TTL, but a TTL is
//! housekeeping: the reader compares `expires_at` with its clock.
//!
//! What does not live here: the local copy and the order of fills and invalidations (`actors`).

pub mod companion;
pub mod connection;
pub mod continuity;
pub mod endpoints;
pub mod identity;
pub mod provisional;
pub mod slot;

mod cluster;
mod connect;
mod diagnosis;
mod history;
mod keys;
mod transaction;

use ::redis::RedisError;
use thiserror::Error;

use super::error::StoreError;

/// The name of this store in errors.
const STORE: &str = "Redis";

/// What Redis or its driver said, without its words: they may quote a key, that is a token.
#[derive(Debug, Error)]
#[error("{kind}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
struct Refusal {
    kind: String,
    code: Option<String>,
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn store_error(error: RedisError) -> StoreError {
    if error.is_timeout() {
        return StoreError::Timeout { store: STORE };
    }
    let io = error.is_io_error().then(|| error.to_string());
    let refusal = Refusal {
        kind: io.unwrap_or_else(|| error.category().to_owned()),
        code: error.code().map(str::to_owned),
    };
    StoreError::Unavailable {
        store: STORE,
        source: refusal.into(),
    }
}

/// Whether the server answered that it has no such command, as an old one does, or that our user
/// may not use it.
fn is_refused_to_us(error: &RedisError) -> bool {
    matches!(error.code(), Some("ERR" | "NOPROTO" | "NOPERM"))
}

//! The fast copy in Redis: the live access tokens, for this program's servers and for any other
//! program that reads them.
//!
//! Under each token stands the user's identifier, as Flask-Sentinel writes it; beside it, in the
//! same slot, the whole grant (`keys`). Nothing else of ours may be a key there: a program that
//! reads this Redis lets in any bearer that names a key. Both keys end by their TTL, but a TTL is
//! housekeeping: the reader compares `expires_at` with its clock.
//!
//! What does not live here: the local copy and the order of fills and invalidations (`actors`).

pub mod connection;
pub mod endpoints;
pub mod slot;

mod companion;
mod diagnosis;
mod keys;

use ::redis::RedisError;

use super::error::StoreError;

/// The name of this store in errors.
const STORE: &str = "Redis";

fn store_error(error: RedisError) -> StoreError {
    if error.is_timeout() {
        return StoreError::Timeout { store: STORE };
    }
    StoreError::Unavailable {
        store: STORE,
        source: error.into(),
    }
}

//! What publications do in Redis, as one transaction, and what is left of it where Redis is full.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::{Pipeline, RedisError, ServerErrorKind};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::domain::token::Grant;
use crate::domain::token_key::TokenKey;
use crate::telemetry::metrics::CACHE_TOKENS_REFUSED;

use super::{companion, keys};

/// A Redis that refused nothing for so long is no longer full; the next refusal is told again.
const SPELL: Duration = Duration::from_mins(1);

/// Commands that are carried out together or not at all.
pub(super) struct Transaction {
    /// All of it.
    pub(super) whole: Pipeline,
    /// What it deletes. Alone, in one command, a full server still does that; between `MULTI` and
    /// `EXEC` it refuses everything.
    pub(super) deletes: Vec<TokenKey>,
    /// How many tokens it sets.
    pub(super) sets: usize,
}

impl Transaction {
    pub(super) fn new() -> Self {
        Self {
            whole: atomic(),
            deletes: Vec::new(),
            sets: 0,
        }
    }

    /// Sets both keys of a token for the rest of its life.
    pub(super) fn set(&mut self, token: &TokenKey, grant: &Grant, now: OffsetDateTime) {
        let rest = rest(grant, now);
        let (Some(user), Some(companion)) = (&grant.user, companion::write(grant)) else {
            // A reader of the plain keys takes any key for a user's token.
            return;
        };
        if rest.is_zero() {
            return;
        }
        let ttl_millis = millis(rest);
        let mut set = |key: &str, value: &str| {
            let command = self.whole.cmd("SET").arg(key).arg(value);
            command.arg("PX").arg(ttl_millis).ignore();
        };
        set(keys::plain(token), &user.id.to_string());
        set(&keys::companion(token), &companion);
        self.sets += 1;
    }

    /// Deletes both keys of a token.
    pub(super) fn delete(&mut self, token: &TokenKey) {
        let command = self.whole.cmd("DEL").arg(keys::plain(token));
        command.arg(keys::companion(token)).ignore();
        self.deletes.push(token.clone());
    }
}

/// How long a grant goes on.
pub(super) fn rest(grant: &Grant, now: OffsetDateTime) -> Duration {
    Duration::try_from(grant.expires_at - now).unwrap_or_default()
}

/// Whole milliseconds, as Redis counts them.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An empty transaction.
pub(super) fn atomic() -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline
}

/// Whether a transaction failed because the server has no memory left for what it sets. Nothing of
/// it was carried out then.
pub(super) fn is_too_much(error: &RedisError) -> bool {
    let Some(errors) = error.clone().into_server_errors() else {
        return false;
    };
    let is_oom = |code: &str| code == "OOM";
    let is_abort = |kind| kind == Some(ServerErrorKind::ExecAbort);
    let mut codes = errors.iter().map(|(_, error)| error);
    errors.iter().any(|(_, error)| is_oom(error.code()))
        && codes.all(|error| is_oom(error.code()) || is_abort(error.kind()))
}

/// Whether a transaction failed because the server has no such command, or none for us. Nothing of
/// it was carried out then.
pub(super) fn is_unknown_command(error: &RedisError) -> bool {
    let Some(errors) = error.clone().into_server_errors() else {
        return false;
    };
    let mut codes = errors.iter().map(|(_, error)| error.code());
    codes.any(|code| matches!(code, "ERR" | "NOPERM"))
}

/// When a full server last refused tokens: it is told once in a spell, not for each.
#[derive(Debug, Default)]
pub(super) struct Fullness {
    last: Mutex<Option<Instant>>,
    has_refused: AtomicBool,
}

impl Fullness {
    pub(super) fn note(&self, tokens: usize) {
        metrics::counter!(CACHE_TOKENS_REFUSED).increment(tokens.try_into().unwrap_or(u64::MAX));
        self.has_refused.store(true, Ordering::Release);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() > SPELL) {
            tracing::warn!(
                "Redis is full and takes no more tokens; working from the truth for those: raise \
                 maxmemory, or set maxmemory-policy volatile-ttl"
            );
        }
        *last = Some(Instant::now());
    }

    /// Whether tokens were refused since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.has_refused.swap(false, Ordering::AcqRel)
    }
}

//! The local copy of live tokens of one shard: read by every request without a message, filled by
//! the shard's actor alone.
//!
//! An invalidation may overtake the look-up that fills an entry. So a fill notes the number of
//! invalidations before its look-up, and a token is stored only if it was not invalidated since.

pub(super) mod order;

mod entries;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::live_token::LiveToken;
use crate::domain::token_key::TokenKey;
use crate::stores::redis::identity::ConnectionId;
use entries::{Key, LiveTokens, live_tokens};
use order::{Noted, Order};

/// Most unknown tokens remembered in one shard.
const UNKNOWN_ENTRIES: usize = 4_096;
/// How long an unknown token is remembered, so that a flood of it does not reach the truth.
const UNKNOWN_KEPT_FOR: Duration = Duration::from_secs(1);

/// Most ends remembered in one shard.
const ENDED_ENTRIES: usize = 16_384;
/// How long an end is remembered: longer than a look-up in the truth that began before it can bring
/// the token back into Redis, where an unconfirmed one lives five seconds.
const ENDED_KEPT_FOR: Duration = Duration::from_secs(10);

/// Most tokens that nobody tells changes of, kept in one shard.
const UNTOLD_ENTRIES: usize = 4_096;
/// How long such a token is kept after it was asked for: less than the 250 ms that a server may take
/// to obey a revocation by another.
const UNTOLD_KEPT_FOR: Duration = Duration::from_millis(200);

/// The local copy of one shard.
pub(super) struct LocalCopy {
    entries: LiveTokens,
    /// Tokens that are not in Redis, which therefore tells of no change: those without a user.
    untold: Cache<Key, (LiveToken, Instant)>,
    unknown: Cache<Key, Instant>,
    ended: Cache<Key, Instant>,
    is_served: AtomicBool,
    order: Mutex<Order>,
    /// The last connection that was trusted, over all lives of the actor: what was asked of it may
    /// still be on its way, so the next one has its server end it.
    predecessor: Mutex<Option<ConnectionId>>,
}

/// What tells the local copy of invalidations; without it nothing is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// Nobody: another server may end a token unheard.
    #[default]
    None,
    /// No other server exists.
    ThisProcess,
    /// The push messages of the Redis connection of this number.
    Connection(u64),
}

impl LocalCopy {
    pub(super) fn new() -> Self {
        Self {
            entries: live_tokens(),
            untold: Cache::new(UNTOLD_ENTRIES),
            unknown: Cache::new(UNKNOWN_ENTRIES),
            ended: Cache::new(ENDED_ENTRIES),
            is_served: AtomicBool::new(false),
            order: Mutex::default(),
            predecessor: Mutex::default(),
        }
    }

    /// The grant of a token that is known to live at `now`.
    pub(super) fn find(&self, token: &TokenKey, now: OffsetDateTime) -> Option<LiveToken> {
        let told = if self.is_served.load(Ordering::Acquire) {
            self.entries.get(token)
        } else {
            None
        };
        let found = told.or_else(|| self.find_untold(token));
        found.filter(|live| live.is_live_at(now))
    }

    fn find_untold(&self, token: &TokenKey) -> Option<LiveToken> {
        let (live, asked_at) = self.untold.get(token)?;
        (asked_at.elapsed() < UNTOLD_KEPT_FOR).then_some(live)
    }

    /// Whether the token was unknown a moment ago.
    pub(super) fn is_unknown(&self, token: &TokenKey) -> bool {
        self.unknown
            .get(token)
            .is_some_and(|asked| asked.elapsed() < UNKNOWN_KEPT_FOR)
    }

    /// Whether this server ended the token a moment ago, whatever Redis has.
    pub(super) fn is_ended(&self, token: &TokenKey) -> bool {
        self.ended
            .get(token)
            .is_some_and(|at| at.elapsed() < ENDED_KEPT_FOR)
    }

    /// To be called before a look-up whose answer is to be stored.
    pub(super) fn note(&self) -> Noted {
        self.order().note()
    }

    /// Stores what a look-up found, but for tokens that were invalidated since.
    pub(super) fn fill(&self, noted: Noted, found: Vec<(TokenKey, LiveToken)>) {
        let order = self.order();
        let Some(forgotten) = order.forgotten_since(noted) else {
            return;
        };
        for (token, live) in found {
            let key = Key::of(&token);
            if !forgotten.contains(&key) && !self.is_ended(&token) {
                self.entries.insert(key, live);
            }
        }
    }

    /// Stores for a moment the tokens without a user that a look-up in the truth found, which began
    /// at `asked_at`; but for those that were invalidated since.
    pub(super) fn fill_untold(
        &self,
        (noted, asked_at): (Noted, Instant),
        mut found: Vec<(TokenKey, LiveToken)>,
    ) {
        found.retain(|(_, live)| live.user_id().is_none());
        if found.is_empty() {
            return;
        }
        let order = self.order();
        let Some(forgotten) = order.forgotten_here_since(noted) else {
            return;
        };
        for (token, live) in found {
            let key = Key::of(&token);
            if !forgotten.contains(&key) && !self.is_ended(&token) {
                self.untold.insert(key, (live, asked_at));
            }
        }
    }

    /// Remembers tokens that nobody knows.
    pub(super) fn fill_unknown(&self, tokens: Vec<TokenKey>) {
        let now = Instant::now();
        for token in tokens {
            self.unknown.insert(Key::of(&token), now);
        }
    }

    /// Drops tokens that have ended for good.
    pub(super) fn end(&self, tokens: &[TokenKey]) {
        let now = Instant::now();
        for token in tokens {
            self.ended.insert(Key::of(token), now);
        }
        self.forget(tokens);
    }

    /// Drops tokens that changed.
    pub(super) fn forget(&self, tokens: &[TokenKey]) {
        let mut order = self.order();
        for token in tokens {
            order.note_forgotten(token);
            self.entries.remove(token);
            self.untold.remove(token);
            self.unknown.remove(token);
        }
    }

    /// Drops everything.
    pub(super) fn forget_all(&self) {
        let mut order = self.order();
        order.note_all_forgotten();
        self.entries.clear();
        self.untold.clear();
        self.unknown.clear();
    }

    /// The number of the next connection.
    pub(super) fn next_connection(&self) -> u64 {
        let mut order = self.order();
        order.connections += 1;
        order.connections
    }

    /// The connection that the next one has to end; `None` before the first, and where the server
    /// does not tell.
    pub(super) fn predecessor(&self) -> Option<ConnectionId> {
        lock(&self.predecessor).clone()
    }

    /// Remembers the connection that is trusted from now on.
    pub(super) fn remember(&self, connection: Option<&ConnectionId>) {
        *lock(&self.predecessor) = connection.cloned();
    }

    /// Serves from now on what is filled from now on; `source` tells of invalidations. A
    /// connection that was lost already is no source.
    pub(super) fn trust(&self, source: Source) {
        let mut order = self.order();
        let is_lost = matches!(source, Source::Connection(number) if number <= order.lost);
        let source = if is_lost { Source::None } else { source };
        self.change_source(&mut order, source);
    }

    /// Serves nothing any more that this connection told of.
    pub(super) fn distrust(&self, connection: u64) {
        let mut order = self.order();
        order.lost = order.lost.max(connection);
        if order.source == Source::Connection(connection) {
            self.change_source(&mut order, Source::None);
        }
    }

    /// Whether this connection is distrusted: what is asked from now on must not go over it.
    pub(super) fn has_lost(&self, connection: u64) -> bool {
        connection <= self.order().lost
    }

    fn change_source(&self, order: &mut Order, source: Source) {
        order.note_all_forgotten();
        order.source = source;
        self.is_served
            .store(source != Source::None, Ordering::Release);
        self.entries.clear();
        self.unknown.clear();
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        lock(&self.order)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

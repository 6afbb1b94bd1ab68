//! The local copy of live tokens of one shard: read by every request without a message, filled by
//! the shard's actor alone.
//!
//! An invalidation may overtake the look-up that fills an entry. So a fill notes the number of
//! invalidations before its look-up, and a token is stored only if it was not invalidated since.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::domain::token::{Grant, TokenValue};
use crate::stores::redis::identity::ConnectionId;

/// Most live tokens kept in one shard.
const ENTRIES: usize = 65_536;
/// Most unknown tokens remembered in one shard.
const UNKNOWN_ENTRIES: usize = 4_096;
/// Most invalidations that a look-up may be overtaken by and still be compared with.
const FORGOTTEN: usize = 4_096;
/// How long an unknown token is remembered, so that a flood of it does not reach the truth.
const UNKNOWN_KEPT_FOR: Duration = Duration::from_secs(1);

/// Most ends remembered in one shard.
const ENDED_ENTRIES: usize = 16_384;
/// How long an end is remembered: longer than a look-up in the truth that began before it can bring
/// the token back into Redis, where an unconfirmed one lives five seconds.
const ENDED_KEPT_FOR: Duration = Duration::from_secs(10);

/// The local copy of one shard.
pub(super) struct LocalCopy {
    entries: Cache<TokenValue, Arc<Grant>>,
    unknown: Cache<TokenValue, Instant>,
    ended: Cache<TokenValue, Instant>,
    is_served: AtomicBool,
    order: Mutex<Order>,
    /// The last connection that was trusted, over all lives of the actor: what was asked of it may
    /// still be on its way, so the next one has its server end it.
    predecessor: Mutex<Option<ConnectionId>>,
}

#[derive(Default)]
struct Order {
    invalidations: u64,
    /// The latest invalidated tokens, each with the number of its invalidation.
    forgotten: VecDeque<(u64, TokenValue)>,
    /// A look-up noted before this many invalidations is too old to be compared.
    known_since: u64,
    source: Source,
    /// How many connections there were, over all lives of the actor.
    connections: u64,
    /// The last connection that was lost: it may be lost before it is trusted.
    lost: u64,
}

impl Order {
    fn note_forgotten(&mut self, token: &TokenValue) {
        self.invalidations += 1;
        self.forgotten
            .push_back((self.invalidations, token.clone()));
        if self.forgotten.len() > FORGOTTEN {
            self.known_since = self.forgotten.pop_front().map_or(0, |(at, _)| at);
        }
    }

    fn note_all_forgotten(&mut self) {
        self.invalidations += 1;
        self.known_since = self.invalidations;
        self.forgotten.clear();
    }
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

/// How many invalidations there were before a look-up.
#[derive(Clone, Copy)]
pub(super) struct Noted(u64);

impl LocalCopy {
    pub(super) fn new() -> Self {
        Self {
            entries: Cache::new(ENTRIES),
            unknown: Cache::new(UNKNOWN_ENTRIES),
            ended: Cache::new(ENDED_ENTRIES),
            is_served: AtomicBool::new(false),
            order: Mutex::default(),
            predecessor: Mutex::default(),
        }
    }

    /// The grant of a token that is known to live at `now`.
    pub(super) fn find(&self, token: &TokenValue, now: OffsetDateTime) -> Option<Arc<Grant>> {
        if !self.is_served.load(Ordering::Acquire) {
            return None;
        }
        self.entries
            .get(token)
            .filter(|grant| grant.expires_at > now)
    }

    /// Whether the token was unknown a moment ago.
    pub(super) fn is_unknown(&self, token: &TokenValue) -> bool {
        self.unknown
            .get(token)
            .is_some_and(|asked| asked.elapsed() < UNKNOWN_KEPT_FOR)
    }

    /// Whether this server ended the token a moment ago, whatever Redis has.
    pub(super) fn is_ended(&self, token: &TokenValue) -> bool {
        self.ended
            .get(token)
            .is_some_and(|at| at.elapsed() < ENDED_KEPT_FOR)
    }

    /// To be called before a look-up whose answer is to be stored.
    pub(super) fn note(&self) -> Noted {
        Noted(self.order().invalidations)
    }

    /// Stores what a look-up found, but for tokens that were invalidated since.
    pub(super) fn fill(&self, noted: Noted, found: Vec<(TokenValue, Arc<Grant>)>) {
        let order = self.order();
        if order.source == Source::None || noted.0 < order.known_since {
            return;
        }
        let since = order
            .forgotten
            .iter()
            .rev()
            .take_while(|(at, _)| *at > noted.0);
        let forgotten: HashSet<&TokenValue> = since.map(|(_, token)| token).collect();
        for (token, grant) in found {
            if !forgotten.contains(&token) && !self.is_ended(&token) {
                self.entries.insert(token, grant);
            }
        }
    }

    /// Remembers tokens that nobody knows.
    pub(super) fn fill_unknown(&self, tokens: Vec<TokenValue>) {
        let now = Instant::now();
        for token in tokens {
            self.unknown.insert(token, now);
        }
    }

    /// Drops tokens that have ended for good.
    pub(super) fn end(&self, tokens: &[TokenValue]) {
        let now = Instant::now();
        for token in tokens {
            self.ended.insert(token.clone(), now);
        }
        self.forget(tokens);
    }

    /// Drops tokens that changed.
    pub(super) fn forget(&self, tokens: &[TokenValue]) {
        let mut order = self.order();
        for token in tokens {
            order.note_forgotten(token);
            self.entries.remove(token);
            self.unknown.remove(token);
        }
    }

    /// Drops everything.
    pub(super) fn forget_all(&self) {
        let mut order = self.order();
        order.note_all_forgotten();
        self.entries.clear();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientId;
    use crate::domain::scope::Scope;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn entry(letter: char) -> (TokenValue, Arc<Grant>) {
        let token = TokenValue::parse(&letter.to_string().repeat(30)).unwrap();
        let grant = Grant {
            user: None,
            client_id: ClientId::new("c"),
            scope: Scope::default(),
            issued_at: START,
            expires_at: START + time::Duration::hours(1),
        };
        (token, Arc::new(grant))
    }

    fn filled() -> (LocalCopy, TokenValue) {
        let (local, (token, grant)) = (LocalCopy::new(), entry('a'));
        local.trust(Source::Connection(1));
        local.fill(local.note(), vec![(token.clone(), grant)]);
        (local, token)
    }

    #[test]
    fn a_filled_token_is_found_until_it_expires() {
        let (local, token) = filled();
        assert!(local.find(&token, START).is_some());
        assert!(
            local
                .find(&token, START + time::Duration::hours(1))
                .is_none()
        );
    }

    #[test]
    fn an_invalidation_that_overtakes_a_look_up_wins() {
        let (local, _) = filled();
        let (token, grant) = entry('b');
        let noted = local.note();
        local.forget(std::slice::from_ref(&token));
        local.fill(noted, vec![(token.clone(), grant)]);
        assert!(local.find(&token, START).is_none());
    }

    #[test]
    fn an_invalidation_holds_back_its_own_token_only() {
        let (local, _) = filled();
        let noted = local.note();
        local.forget(&[entry('b').0]);
        local.fill(noted, vec![entry('b'), entry('c')]);
        assert!(local.find(&entry('b').0, START).is_none());
        assert!(local.find(&entry('c').0, START).is_some());
    }

    #[test]
    fn a_look_up_that_too_much_overtook_is_not_stored() {
        let (local, _) = filled();
        let noted = local.note();
        for _ in 0..=FORGOTTEN {
            local.forget(&[entry('b').0]);
        }
        local.fill(noted, vec![entry('c')]);
        assert!(local.find(&entry('c').0, START).is_none());
    }

    #[test]
    fn nothing_is_served_or_kept_without_a_source_of_invalidations() {
        let (local, token) = filled();
        local.distrust(1);
        assert!(local.find(&token, START).is_none());
        local.fill(local.note(), vec![entry('a')]);
        local.trust(Source::Connection(2));
        assert!(local.find(&token, START).is_none());
    }

    #[test]
    fn a_connection_lost_before_it_is_trusted_is_no_source() {
        let (local, (token, grant)) = (LocalCopy::new(), entry('a'));
        local.distrust(1);
        local.trust(Source::Connection(1));
        local.fill(local.note(), vec![(token.clone(), grant)]);
        assert!(local.find(&token, START).is_none());
    }

    #[test]
    fn the_loss_of_an_earlier_connection_changes_nothing() {
        let (local, token) = filled();
        local.distrust(0);
        assert!(local.find(&token, START).is_some());
    }

    #[test]
    fn an_ended_token_is_not_filled_in_again_and_one_that_changed_is() {
        let (local, token) = filled();
        local.end(std::slice::from_ref(&token));
        local.fill(local.note(), vec![entry('a')]);
        assert!(local.find(&token, START).is_none() && local.is_ended(&token));
        local.forget(&[entry('b').0]);
        local.fill(local.note(), vec![entry('b')]);
        assert!(local.find(&entry('b').0, START).is_some());
    }

    #[test]
    fn an_unknown_token_is_remembered_until_it_is_published() {
        let (local, token) = filled();
        local.fill_unknown(vec![token.clone()]);
        assert!(local.is_unknown(&token));
        local.forget(std::slice::from_ref(&token));
        assert!(!local.is_unknown(&token));
    }
}

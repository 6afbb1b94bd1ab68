//! How tokens are kept, and the change from as they are to hashed: once, by the first server that is
//! started with that setting. Sessions go on. A hash leads nowhere back, so there is no other change.
//!
//! It goes page by page and may be broken off at any point: the next start goes on. Redis is told first,
//! since a key that is left there would let in whoever presents it to a program that reads Redis; and
//! once more afterwards, since a server that was left running may have put the key back.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::error::StartError;
use crate::clock::Clock;
use crate::crypto::{random, token_keys};
use crate::domain::standing::SessionsOf;
use crate::domain::token::{EndedToken, TokenRecord};
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::settings::{Settings, StoreSettings, TokenStorageMode};
use crate::stores::error::StoreError;
use crate::stores::redis::connection::RedisConnection;
use crate::stores::redis::endpoints::{RedisDeadlines, RedisEndpoints};
use crate::stores::redis::slot;
use crate::stores::token_conversion::KeptTokens;
use crate::stores::{TokenWrite, Truth};
use crate::telemetry::chain::Chain;

/// Records that are read and written at once.
const PAGE: usize = 500;
/// How often a page is tried before the start is given up.
const ATTEMPTS: u32 = 5;
/// Between two of them.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a long change tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// Nobody waits behind a change.
const REDIS_DEADLINES: RedisDeadlines = RedisDeadlines {
    connect: Duration::from_secs(3),
    response: Duration::from_secs(3),
};

/// Why hashed tokens are not kept plain from now on.
const NO_WAY_BACK: &str = "SENTINEL_TOKEN_STORAGE: the tokens of this database are hashed, which leads \
                           nowhere back: leave it at hashed, or, to end all sessions, stop all servers \
                           and empty the collections tokens and ended_tokens and the Redis database";

/// How the settings ask for it; `None` is as it is.
pub(super) fn wanted(settings: &Settings) -> Option<TokenStorage> {
    match &settings.store {
        StoreSettings::MongoDb { token_storage, .. } => token_storage.map(|mode| match mode {
            TokenStorageMode::Plain => TokenStorage::Plain,
            TokenStorageMode::Hashed => TokenStorage::Hashed,
        }),
        StoreSettings::Embedded => Some(TokenStorage::Hashed),
    }
}

/// Sees to it that all tokens are kept as wanted, and tells how that is.
///
/// # Errors
/// [`StartError::Setting`] when hashed tokens are to be kept plain; [`StartError::StoreFailed`] when a
/// store fails meanwhile: what was done stays done.
pub(super) async fn adopt(
    truth: &Truth,
    redis: Option<&RedisEndpoints>,
    wanted: Option<TokenStorage>,
    clock: &Clock,
) -> Result<TokenStorage, StartError> {
    let kept = truth.conversion.kept_tokens().await?;
    match (kept, wanted) {
        (KeptTokens::All(kept), None) => return Ok(kept),
        (KeptTokens::All(kept), Some(wanted)) if kept == wanted => return Ok(kept),
        (_, Some(TokenStorage::Plain)) => {
            let everyone = SessionsOf::Everyone;
            let any = truth.tokens.list_sessions(&everyone, None, 1).await?;
            if !any.is_empty() {
                return Err(StartError::Setting(NO_WAY_BACK.to_owned()));
            }
            let plain = TokenStorage::Plain;
            truth.conversion.note_storage(plain).await?;
            return Ok(plain);
        }
        (_, None | Some(TokenStorage::Hashed)) => {}
    }
    truth.conversion.begin_hashing().await?;
    let mut change = Change {
        truth,
        redis,
        connections: Vec::new(),
        now: clock.now(),
        changed: 0,
        told: Instant::now(),
    };
    change.run().await?;
    truth.conversion.note_storage(TokenStorage::Hashed).await?;
    if change.changed > 0 {
        let records = change.changed;
        tracing::warn!(
            records,
            "tokens are kept hashed from now on; sessions go on"
        );
    }
    Ok(TokenStorage::Hashed)
}

/// What a start would change, or why there would be none.
pub(super) fn foretell(
    kept: KeptTokens,
    wanted: Option<TokenStorage>,
) -> Result<Option<&'static str>, &'static str> {
    match (kept, wanted) {
        (KeptTokens::All(kept), wanted) if wanted.is_none_or(|wanted| wanted == kept) => Ok(None),
        (_, Some(TokenStorage::Plain)) => Err(NO_WAY_BACK),
        _ => Ok(Some(
            "SENTINEL_TOKEN_STORAGE: the start hashes the tokens of this database: sessions go on, servers \
             that still run serve none of them, and other programs can read Redis no more",
        )),
    }
}

/// A change under way.
struct Change<'t> {
    truth: &'t Truth,
    redis: Option<&'t RedisEndpoints>,
    /// Made when there is something to delete.
    connections: Vec<RedisConnection>,
    now: OffsetDateTime,
    changed: usize,
    told: Instant,
}

impl Change<'_> {
    // What was written by a server that was left running is found by the next pass.
    async fn run(&mut self) -> Result<(), StoreError> {
        loop {
            let before = self.changed;
            self.hash_pairs().await?;
            self.hash_ends().await?;
            if self.changed == before {
                return Ok(());
            }
        }
    }

    async fn hash_pairs(&mut self) -> Result<(), StoreError> {
        let tokens = &self.truth.tokens;
        let mut after = None;
        loop {
            let everyone = SessionsOf::Everyone;
            let read = || tokens.list_sessions(&everyone, after, PAGE);
            let page = patiently(read).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let is_plain = |record: &TokenRecord| record.access_token.token().is_some();
            let plain: Vec<TokenRecord> = page.into_iter().filter(is_plain).collect();
            let access_tokens = plain.iter().flat_map(|record| {
                let replaced = record.replaced.iter();
                std::iter::once(&record.access_token).chain(replaced)
            });
            let keys: Vec<TokenKey> = access_tokens.cloned().collect();
            let hash = |record: &TokenRecord| TokenWrite::Replace {
                expected: record.into(),
                record: token_keys::hashed_record(record, self.now),
            };
            let writes: Vec<TokenWrite> = plain.iter().map(hash).collect();
            self.delete(&keys).await?;
            // What was done by another server meanwhile, or undone, is found by the next pass.
            let _known_then = patiently(|| tokens.write(&writes)).await?;
            self.delete(&keys).await?;
            self.note(writes.len());
        }
    }

    async fn hash_ends(&mut self) -> Result<(), StoreError> {
        let truth = self.truth;
        let mut after = None;
        loop {
            let read = || truth.conversion.list_all_ends(after.as_ref(), PAGE);
            let page = patiently(read).await?;
            for round in page.ends.chunk_by(|one, next| one.round == next.round) {
                self.hash_round(round).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    // What of the round is hashed already goes along: it is forgotten with the rest.
    async fn hash_round(&mut self, ends: &[EndedToken]) -> Result<(), StoreError> {
        let truth = self.truth;
        let is_plain = |end: &&EndedToken| end.access_token.token().is_some();
        let plain: Vec<EndedToken> = ends.iter().filter(is_plain).cloned().collect();
        if plain.is_empty() {
            return Ok(());
        }
        let keys: Vec<TokenKey> = plain.iter().map(|end| end.access_token.clone()).collect();
        let round = random::record_id(self.now);
        let hash = |end: &EndedToken| token_keys::hashed_end(end, round);
        let hashed: Vec<EndedToken> = ends.iter().map(hash).collect();
        self.delete(&keys).await?;
        patiently(|| truth.tokens.remember_ends(&hashed)).await?;
        patiently(|| truth.conversion.forget_ends(&plain)).await?;
        self.note(keys.len());
        Ok(())
    }

    async fn delete(&mut self, keys: &[TokenKey]) -> Result<(), StoreError> {
        let Some(redis) = self.redis.filter(|_| !keys.is_empty()) else {
            return Ok(());
        };
        if self.connections.is_empty() {
            for endpoint in redis.endpoints() {
                let connection = endpoint.connect(REDIS_DEADLINES, None, |_| {});
                self.connections.push(connection.await?);
            }
        }
        let mut of_endpoints = vec![Vec::new(); self.connections.len()];
        for key in keys {
            of_endpoints[slot::shard_of(key, self.connections.len())].push(key.clone());
        }
        for (connection, keys) in self.connections.iter().zip(of_endpoints) {
            connection.delete(&keys).await?;
        }
        Ok(())
    }

    fn note(&mut self, changed: usize) {
        self.changed += changed;
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            tracing::info!(records = self.changed, "tokens are being hashed");
        }
    }
}

// A primary may change, and a cold cache be slow: all steps may be repeated.
async fn patiently<T, F>(step: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..ATTEMPTS {
        match step().await {
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Timeout { .. })) => {
                tracing::warn!(error = %Chain(&error), "the store failed while tokens are hashed");
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
    step().await
}

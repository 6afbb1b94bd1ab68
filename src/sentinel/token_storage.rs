//! How tokens are kept, and the change from one way to the other: once, by the first server that is
//! started with the new setting.
//!
//! What is kept as it is can be hashed, and its sessions go on. A hash leads nowhere back: with the
//! other change sessions end. Either goes page by page and may be broken off at any point: the next
//! start goes on. Redis is told first, since a key that is left there would let in whoever presents it
//! to a program that reads Redis.

use std::time::Duration;

use tokio::time::Instant;

use super::error::StartError;
use crate::crypto::token_keys;
use crate::domain::standing::SessionsOf;
use crate::domain::token::{EndedToken, TokenRecord};
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::settings::{Settings, StoreSettings, TokenStorageMode};
use crate::stores::error::StoreError;
use crate::stores::redis::connection::RedisConnection;
use crate::stores::redis::endpoints::{RedisDeadlines, RedisEndpoints};
use crate::stores::redis::slot;
use crate::stores::{TokenWrite, Truth};

/// Records that are read and written at once.
const PAGE: usize = 1_000;
/// How often a long change tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// Nobody waits behind a change.
const REDIS_DEADLINES: RedisDeadlines = RedisDeadlines {
    connect: Duration::from_secs(3),
    response: Duration::from_secs(3),
};

/// Where nobody says how, and the stores are in between.
pub(super) const UNDECIDED: &str = "SENTINEL_TOKEN_STORAGE: how tokens are kept was being changed when a server \
                                    stopped; say plain or hashed, as it did, to have that finished";

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
/// [`StartError::StoreFailed`] when a store fails meanwhile; what was done stays done.
/// [`StartError::Setting`] when nothing is wanted, and a change was begun.
pub(super) async fn adopt(
    truth: &Truth,
    redis: Option<&RedisEndpoints>,
    wanted: Option<TokenStorage>,
) -> Result<TokenStorage, StartError> {
    let kept = truth.conversion.token_storage().await?;
    let Some(wanted) = wanted.or(kept) else {
        return Err(StartError::Setting(UNDECIDED.to_owned()));
    };
    if kept == Some(wanted) {
        return Ok(wanted);
    }
    truth.conversion.begin_conversion().await?;
    let mut change = Change {
        truth,
        redis,
        connections: Vec::new(),
        wanted,
        changed: 0,
        told: Instant::now(),
    };
    change.convert_pairs().await?;
    change.convert_ends().await?;
    let changed = change.changed;
    truth.conversion.finish_conversion(wanted).await?;
    if changed > 0 {
        tracing::warn!(records = changed, "{}", outcome(wanted));
    }
    Ok(wanted)
}

fn outcome(wanted: TokenStorage) -> &'static str {
    match wanted {
        TokenStorage::Plain => "tokens are kept as they are from now on; sessions have ended",
        TokenStorage::Hashed => "tokens are kept hashed from now on; sessions go on",
    }
}

/// A change under way.
struct Change<'t> {
    truth: &'t Truth,
    redis: Option<&'t RedisEndpoints>,
    /// Made when there is something to delete.
    connections: Vec<RedisConnection>,
    wanted: TokenStorage,
    changed: usize,
    told: Instant,
}

impl Change<'_> {
    async fn convert_pairs(&mut self) -> Result<(), StoreError> {
        let tokens = &self.truth.tokens;
        let mut after = None;
        loop {
            let everyone = SessionsOf::Everyone;
            let page = tokens.list_sessions(&everyone, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let is_other = |record: &&TokenRecord| record.access_token.storage() != self.wanted;
            let other: Vec<&TokenRecord> = page.iter().filter(is_other).collect();
            let access_tokens = other.iter().flat_map(|record| {
                let replaced = record.replaced.iter();
                std::iter::once(&record.access_token).chain(replaced)
            });
            self.delete(access_tokens.cloned().collect()).await?;
            // One that is not there any more was changed by another server that was started so.
            let writes: Vec<TokenWrite> = other.iter().map(|record| self.write(record)).collect();
            let _whoever_did_it = tokens.write(&writes).await?;
            self.note(other.len());
        }
    }

    fn write(&self, record: &TokenRecord) -> TokenWrite {
        let expected = record.into();
        match self.wanted {
            TokenStorage::Plain => TokenWrite::Delete { expected },
            TokenStorage::Hashed => TokenWrite::Replace {
                expected,
                record: token_keys::hashed_record(record),
            },
        }
    }

    async fn convert_ends(&mut self) -> Result<(), StoreError> {
        let truth = self.truth;
        let mut after: Option<TokenKey> = None;
        loop {
            let page = truth.conversion.list_all_ends(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.access_token.clone());
            let is_other = |end: &&EndedToken| end.access_token.storage() != self.wanted;
            let other: Vec<&EndedToken> = page.iter().filter(is_other).collect();
            let keys: Vec<TokenKey> = other.iter().map(|end| end.access_token.clone()).collect();
            self.delete(keys.clone()).await?;
            if self.wanted == TokenStorage::Hashed {
                let hashed = other.iter().map(|end| token_keys::hashed_end(end));
                let hashed: Vec<EndedToken> = hashed.collect();
                truth.tokens.remember_ends(&hashed).await?;
            }
            truth.conversion.forget_ends(&keys).await?;
            self.note(other.len());
        }
    }

    async fn delete(&mut self, keys: Vec<TokenKey>) -> Result<(), StoreError> {
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
            of_endpoints[slot::shard_of(&key, self.connections.len())].push(key);
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
            tracing::info!(
                records = self.changed,
                "how tokens are kept is being changed"
            );
        }
    }
}

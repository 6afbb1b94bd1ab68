//! `TokenCache` guards the fast copy of live tokens: one actor per shard owns its Redis connection
//! and its piece of the local copy. Shape: batcher, with a lane each for look-ups in Redis,
//! look-ups in the truth, and changes. Deadline: 250 ms for a verification, five seconds for a
//! change. When a shard dies, a verification is asked again within its deadline and a change is
//! [`CacheError::Unavailable`]; the other shards are untouched.

pub mod live_token;

mod catch_up;
mod changes;
mod counters;
mod flight;
mod local_copy;
mod look_ups;
mod losses;
mod shard;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::sync::watch;

use super::batch::Gathering;
use super::handle::{AskError, Handle};
use super::supervisor::Child;
use crate::clock::Clock;
use crate::crypto::token_keys;
use crate::domain::token::TokenValue;
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::stores::redis::endpoints::{RedisEndpoint, RedisEndpoints};
use crate::stores::redis::slot;
use crate::stores::{TokenStore, error::StoreError};
use counters::Counters;
use flight::Flights;
use live_token::LiveToken;
use local_copy::LocalCopy;
use look_ups::LookUps;
use losses::Losses;
use shard::message::TokenCacheMessage;
use shard::range::ShardRange;
use shard::{Arguments, TokenCacheActor};

/// Most look-ups in flight per shard.
const BOUND: usize = 1_024;
/// Most changes in flight per shard: more than the token issuer ever has, so that none is shed.
const CHANGE_BOUND: usize = 16_384;

/// Why a token could not be verified or a change not be made in Redis.
#[derive(Clone, Debug, Error)]
pub enum CacheError {
    /// The shard has too much in flight; nothing was begun.
    #[error("too many verifications are in flight")]
    Overloaded,
    /// Neither the fast copy nor the truth could tell, or Redis did not confirm a change.
    #[error("the token stores cannot be asked now")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// Verifies access tokens, and keeps the fast copy equal to the truth. Each request has a clone.
#[derive(Clone)]
pub struct TokenCache(Arc<Parts>);

struct Parts {
    shards: Vec<Shard>,
    clock: Clock,
    has_redis: bool,
    storage: TokenStorage,
    counters: Counters,
}

struct Shard {
    look_ups: LookUps,
    changes: Handle<TokenCacheMessage>,
    local: Arc<LocalCopy>,
    losses: Arc<Losses>,
    is_connected: watch::Receiver<bool>,
}

/// How the cache is laid out.
pub struct CachePolicy {
    /// The Redis endpoints; `None` keeps the copy in this process alone.
    pub redis: Option<RedisEndpoints>,
    /// Actors per endpoint, or in all without Redis.
    pub shards_per_endpoint: usize,
    /// How tokens are kept, in the truth as in the fast copy.
    pub storage: TokenStorage,
}

impl TokenCache {
    /// The cache before `truth`, and its actors to be supervised.
    pub fn new(
        policy: CachePolicy,
        truth: &Arc<dyn TokenStore>,
        clock: &Clock,
    ) -> (Self, Vec<Child>) {
        let has_redis = policy.redis.is_some();
        let endpoints: Vec<Option<RedisEndpoint>> = policy.redis.map_or_else(
            || vec![None],
            |redis| redis.endpoints().iter().cloned().map(Some).collect(),
        );
        let count = endpoints.len() * policy.shards_per_endpoint;
        let mut shards = Vec::new();
        let mut children = Vec::new();
        let ranges = endpoints.len();
        for (index, endpoint) in endpoints.into_iter().enumerate() {
            let whole = ShardRange::new(index, ranges);
            let losses = Arc::new(Losses::default());
            for own in 0..policy.shards_per_endpoint {
                let (handle, published) = Handle::new(BOUND);
                let (connected, is_connected) = watch::channel(false);
                let local = Arc::new(LocalCopy::new());
                let gathering = Gathering::new();
                let arguments = Arguments {
                    endpoint: endpoint.clone(),
                    first_of: (own == 0).then_some(whole),
                    range: ShardRange::new(shards.len(), count),
                    local: Arc::clone(&local),
                    gathering: gathering.clone(),
                    losses: Arc::clone(&losses),
                    connected: Arc::new(connected),
                    flights: Flights::new(Arc::clone(truth), clock.clone()),
                };
                let name = format!("token_cache.{}", shards.len());
                let actor = (TokenCacheActor, arguments);
                children.push(Child::new(name, actor, (&handle, published)));
                shards.push(Shard {
                    changes: handle.beside(CHANGE_BOUND),
                    look_ups: LookUps {
                        actor: handle,
                        gathering,
                    },
                    local,
                    losses: Arc::clone(&losses),
                    is_connected,
                });
            }
        }
        let parts = Parts {
            shards,
            clock: clock.clone(),
            has_redis,
            storage: policy.storage,
            counters: Counters::default(),
        };
        (Self(Arc::new(parts)), children)
    }

    /// What a token stands for, or `None` when it is unknown, ended or expired.
    ///
    /// # Errors
    /// [`CacheError`] when nobody who knows could be asked within 250 ms. Never for an unknown
    /// token.
    pub async fn verify(&self, token: &TokenValue) -> Result<Option<LiveToken>, CacheError> {
        let answer = self.find(&self.key_of(token)).await;
        self.0.counters.note(&answer);
        answer
    }

    /// Has Redis told of a live token that it may lack, if it can be done soon.
    pub(super) async fn put_back(&self, token: &TokenKey) {
        // Whoever asks next has the same done.
        let _found = self.find(token).await;
    }

    async fn find(&self, token: &TokenKey) -> Result<Option<LiveToken>, CacheError> {
        let Some(shard) = self.shard(token) else {
            return Ok(None);
        };
        if let Some(live) = shard.local.find(token, self.0.clock.now()) {
            return Ok(Some(live));
        }
        if shard.local.is_unknown(token) || shard.local.is_ended(token) {
            return Ok(None);
        }
        shard.look_ups.find(token).await
    }

    /// What a token is kept and found by.
    pub(super) fn key_of(&self, token: &TokenValue) -> TokenKey {
        token_keys::key_of(token, self.storage())
    }

    /// How tokens are kept.
    pub(super) fn storage(&self) -> TokenStorage {
        self.0.storage
    }

    /// Whether there is a Redis that other programs may read.
    pub fn has_redis(&self) -> bool {
        self.0.has_redis
    }

    /// Whether each shard that should have a Redis connection has one.
    pub fn is_connected(&self) -> bool {
        self.0
            .shards
            .iter()
            .all(|shard| *shard.is_connected.borrow())
    }

    /// Waits until each shard is connected, at most for `limit`.
    pub async fn connected_within(&self, limit: Duration) -> bool {
        let connected = join_all(self.0.shards.iter().map(|shard| {
            let mut is_connected = shard.is_connected.clone();
            async move {
                is_connected
                    .wait_for(|is_connected| *is_connected)
                    .await
                    .is_ok()
            }
        }));
        let all = tokio::time::timeout(limit, connected).await;
        all.is_ok_and(|all| all.iter().all(|is_connected| *is_connected))
    }

    /// Lets each shard connect anew, which carries out every remembered end before Redis is trusted
    /// again: for when it is not known which ends were published.
    pub(super) fn start_over(&self) {
        for shard in &self.0.shards {
            shard.local.forget_all();
            shard.changes.tell(TokenCacheMessage::StartOver);
        }
    }

    fn shard(&self, token: &TokenKey) -> Option<&Shard> {
        self.0.shards.get(self.index(token))
    }

    // The shard of a token is its Redis Cluster slot, cut into equal ranges.
    fn index(&self, token: &TokenKey) -> usize {
        slot::shard_of(token, self.0.shards.len())
    }
}

impl From<AskError> for CacheError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Gone | AskError::Panicked | AskError::Timeout => {
                Self::Unavailable(Arc::new(error))
            }
        }
    }
}

impl From<StoreError> for CacheError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

//! The round trips of a shard: to Redis, to the truth, and both after a connect.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::CacheError;
use super::catch_up::PutBack;
use super::live_token::LiveToken;
use super::local_copy::LocalCopy;
use super::local_copy::order::Noted;
use super::shard::range::ShardRange;
use crate::actors::handle::Call;
use crate::clock::Clock;
use crate::domain::token::Grant;
use crate::domain::token_key::TokenKey;
use crate::stores::TokenStore;
use crate::stores::ends::Ends;
use crate::stores::error::StoreError;
use crate::stores::redis::connection::{Publication, RedisConnection};
use crate::stores::redis::continuity::Continuity;
use crate::stores::redis::endpoints::{CacheEvent, RedisDeadlines, RedisEndpoint};
use crate::stores::redis::identity::ConnectionId;
use crate::stores::redis::provisional::Put;

/// How long Redis has for a look-up before the truth is asked.
const REDIS_BUDGET: Duration = Duration::from_millis(100);
/// How long the truth has for a look-up. Whoever asked has left before, but what is found is kept
/// for the next who asks; a silent truth must not hold the lane once it is back.
pub(super) const TRUTH_BUDGET: Duration = Duration::from_secs(1);

/// How long Redis has for each step before it is trusted, when nobody waits for it.
pub(super) const REPLAY_BUDGET: Duration = Duration::from_secs(1);

/// A verification on its way.
pub(super) type LookUp = Call<TokenKey, Result<Option<LiveToken>, CacheError>>;
/// A change on its way.
pub(super) type Change = Call<Publication, Result<(), CacheError>>;

/// What every flight of a shard needs.
#[derive(Clone)]
pub(super) struct Flights {
    pub(super) truth: Arc<dyn TokenStore>,
    clock: Clock,
}

/// What a look-up in Redis brought.
pub(super) struct RedisOutcome {
    /// To be kept locally.
    pub(super) found: Vec<(TokenKey, LiveToken)>,
    /// What only the truth can answer.
    pub(super) missing: Vec<LookUp>,
    /// When nothing was to be invalidated before it.
    pub(super) noted: Noted,
    /// Whether the connection must be dropped.
    pub(super) has_failed: bool,
}

/// What a look-up in the truth brought.
pub(super) struct TruthOutcome {
    /// To be kept locally.
    pub(super) found: Vec<(TokenKey, LiveToken)>,
    /// To be remembered as unknown.
    pub(super) unknown: Vec<TokenKey>,
    /// When nothing was to be invalidated before it.
    pub(super) noted: Noted,
    /// When it began.
    pub(super) asked_at: Instant,
    /// Whether what was found is in Redis now.
    pub(super) is_put_back: bool,
    /// Whether Redis may lack what it had of it, since the truth did not tell a second time.
    pub(super) is_lost: bool,
    /// Whether the connection must be dropped.
    pub(super) has_failed: bool,
}

/// A Redis that may be trusted once what is owed is settled.
pub(super) struct Reached {
    pub(super) redis: Arc<RedisConnection>,
    /// When all remembered ends were carried out there; `None` if there was no need.
    pub(super) replayed_at: Option<OffsetDateTime>,
}

impl RedisOutcome {
    /// That of a flight that is not to ask: the truth answers all.
    pub(super) fn of_none(missing: Vec<LookUp>, noted: Noted) -> Self {
        Self {
            found: Vec::new(),
            missing,
            noted,
            has_failed: false,
        }
    }
}

impl Flights {
    pub(super) fn new(truth: Arc<dyn TokenStore>, clock: Clock) -> Self {
        Self { truth, clock }
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Looks tokens up in Redis and answers those it knows to be live.
    pub(super) async fn ask_redis(
        &self,
        redis: Arc<RedisConnection>,
        calls: Vec<LookUp>,
        noted: Noted,
    ) -> RedisOutcome {
        // One that several ask for is read as often: that is rare, and to find out costs each.
        let tokens = calls.iter().map(|call| &call.request);
        let asked = redis.find_each(tokens, |found| LiveToken::of_found(&found));
        let Ok(Ok(found)) = tokio::time::timeout(REDIS_BUDGET, asked).await else {
            return RedisOutcome {
                has_failed: true,
                ..RedisOutcome::of_none(calls, noted)
            };
        };
        let mut outcome = RedisOutcome {
            found: Vec::with_capacity(calls.len()),
            ..RedisOutcome::of_none(Vec::new(), noted)
        };
        let now = self.now();
        for (call, live) in calls.into_iter().zip(found) {
            match live.flatten().filter(|live| live.is_live_at(now)) {
                Some(live) => {
                    outcome.found.push((call.request.clone(), live.clone()));
                    call.answer(Ok(Some(live)));
                }
                None => outcome.missing.push(call),
            }
        }
        outcome
    }

    /// Looks tokens up in the truth, answers all of them, and puts live ones back into Redis.
    pub(super) async fn ask_truth(
        &self,
        redis: Option<Arc<RedisConnection>>,
        calls: Vec<LookUp>,
        noted: Noted,
    ) -> TruthOutcome {
        let tokens = distinct(&calls);
        let mut outcome = TruthOutcome {
            found: Vec::new(),
            unknown: Vec::new(),
            noted,
            asked_at: Instant::now(),
            is_put_back: false,
            is_lost: false,
            has_failed: false,
        };
        let live = match within_budget(TRUTH_BUDGET, self.truth.find_grants(&tokens)).await {
            Ok(found) => live(tokens.clone(), found, self.now()),
            Err(error) => {
                answer_unavailable(calls, error);
                return outcome;
            }
        };
        let packed = packed(&live);
        for call in calls {
            let found = packed.get(&call.request).cloned();
            call.answer(Ok(found));
        }
        outcome.unknown = tokens
            .into_iter()
            .filter(|token| !live.contains_key(token))
            .collect();
        if let Some(redis) = redis {
            let put = self.put_back(&redis, Put::Any, &live).await;
            outcome.is_put_back = matches!(&put, Ok(PutBack::Put(1..)));
            outcome.is_lost = matches!(&put, Ok(PutBack::Unconfirmed(_)));
            outcome.has_failed = put.is_err();
        }
        outcome.found = packed.into_iter().collect();
        outcome
    }

    /// Makes changes in Redis.
    pub(super) async fn change(
        &self,
        redis: Arc<RedisConnection>,
        changes: Vec<Publication>,
    ) -> Result<(), StoreError> {
        redis.publish(&changes, self.now()).await
    }

    /// Connects to Redis and carries out there every end that it may have missed, before it is
    /// trusted.
    ///
    /// A connection that goes on from the one trusted before needs nothing of the truth, which may be
    /// away: while it was trusted, every remembered end had been carried out there, or was looked for
    /// as unpublished, as it will be again. What could have brought an ended token back since?
    /// - Redis itself, by a restart, a failover or the data of another server: it is the same process
    ///   with the same history.
    /// - A write of ours that arrived late: all were confirmed, and the server ended the connection
    ///   before it could take another. What is done after a write, such as to ask the truth once more
    ///   for a new token, goes by way of the shard, which owes it if there is no connection.
    /// - An end of ours without a connection: the shard owes it, and settles it before trust.
    /// - An end of another server: it deletes the keys itself, or leaves the end unpublished.
    /// - The local copy: it was emptied, and is filled from what is read from now on.
    pub(super) async fn connect(
        &self,
        (endpoint, predecessor): (RedisEndpoint, Option<ConnectionId>),
        earlier: Option<Continuity>,
        (now, range): (OffsetDateTime, ShardRange),
        on_event: impl Fn(CacheEvent) + Send + Sync + 'static,
    ) -> Result<Reached, StoreError> {
        let redis = endpoint
            .connect(RedisDeadlines::default(), predecessor.as_ref(), on_event)
            .await?;
        let is_continued = earlier.is_some_and(|earlier| redis.continues(&earlier));
        let patient = redis.clone().with_deadline(REPLAY_BUDGET);
        if !is_continued && !patient.is_empty().await? {
            self.carry_out(Ends::All, (now, range), &patient).await?;
        }
        Ok(Reached {
            redis: Arc::new(redis),
            replayed_at: (!is_continued).then_some(now),
        })
    }
}

/// What a Redis connection tells the local copy, in the order of its stream.
pub(super) fn on_event(local: &LocalCopy, connection: u64, event: CacheEvent) {
    match event {
        CacheEvent::Invalidated(tokens) => local.forget(&tokens),
        CacheEvent::InvalidatedAll => local.forget_all(),
        CacheEvent::Disconnected => local.distrust(connection),
    }
}

/// Waits for the truth for so long.
pub(super) async fn within_budget<T>(
    budget: Duration,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let timeout = |_elapsed| StoreError::Timeout { store: "token" };
    tokio::time::timeout(budget, asked).await.map_err(timeout)?
}

fn distinct(calls: &[LookUp]) -> Vec<TokenKey> {
    let mut seen = std::collections::HashSet::new();
    calls
        .iter()
        .map(|call| &call.request)
        .filter(|token| seen.insert(*token))
        .cloned()
        .collect()
}

fn answer_unavailable(calls: Vec<LookUp>, error: StoreError) {
    let error: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
    for call in calls {
        call.answer(Err(CacheError::Unavailable(Arc::clone(&error))));
    }
}

/// Those of these tokens that live.
pub(super) fn live(
    tokens: Vec<TokenKey>,
    grants: Vec<Option<Grant>>,
    now: OffsetDateTime,
) -> HashMap<TokenKey, Grant> {
    let pairs = tokens.into_iter().zip(grants);
    let live = pairs.filter_map(|(token, grant)| {
        let grant = grant.filter(|grant| grant.expires_at > now)?;
        Some((token, grant))
    });
    live.collect()
}

fn packed(live: &HashMap<TokenKey, Grant>) -> HashMap<TokenKey, LiveToken> {
    let packed = |(token, grant): (&TokenKey, &Grant)| {
        let live = LiveToken::new(grant)?;
        Some((token.clone(), live))
    };
    live.iter().filter_map(packed).collect()
}

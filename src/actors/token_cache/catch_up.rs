//! Bringing Redis up to date with the truth: ends that it may have missed are carried out, live
//! tokens that it lost are put back.

use std::collections::HashMap;
use std::time::Duration;

use time::OffsetDateTime;

use super::flight::{Flights, TRUTH_BUDGET, live, within_budget};
use super::shard::range::ShardRange;
use crate::domain::token::{EndedToken, Grant, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::stores::ends::{Ends, SettledEnds};
use crate::stores::error::StoreError;
use crate::stores::redis::connection::RedisConnection;
use crate::stores::redis::provisional::{Outcome, Put};

/// Ends per round trip when they are carried out.
pub(super) const ENDS_PAGE: usize = 1_000;
/// Rounds that they are read from at a time.
const ROUNDS_PAGE: usize = 250;
/// Tokens per round trip when they are put back.
const LIVE_PAGE: usize = 500;
/// How long a majority has to confirm that tokens which were asked for may be put back: look-ups of
/// others wait for it, which have 250 ms. What nobody waits for has as long as the truth has.
const CONFIRM_BUDGET: Duration = Duration::from_millis(100);
/// Of the latest tokens, the share that must be in Redis for the earlier ones to be believed
/// there: one that is being issued may not be in it yet.
const BELIEVED_PERCENT: usize = 95;

/// Which of the two stores failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The truth did not tell; Redis is as it was.
    Truth(StoreError),
    /// Redis did not confirm: the connection must be dropped.
    Redis(StoreError),
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Truth(error) | Failed::Redis(error) => error,
        }
    }
}

/// How far the live tokens have been looked through, the latest first.
#[derive(Clone)]
pub(super) struct Restoring {
    /// Tells a look that was given up.
    pub(super) number: u64,
    /// Whether all of them are looked through, since Redis was emptied. If not, the look ends where
    /// Redis has what it should have.
    pub(super) is_whole: bool,
    /// The last one looked at.
    pub(super) after: Option<TokenRecord>,
}

/// What became of tokens that were to be put back.
pub(super) enum PutBack {
    /// So many were put.
    Put(usize),
    /// Redis has no room for them.
    Full,
    /// The truth did not tell again whether they live; Redis goes without, also without those that it had.
    Unconfirmed(StoreError),
}

impl Flights {
    /// Carries out in Redis the remembered ends of this range, but for tokens that live on: an end
    /// is remembered before it happens. Gives what was deleted.
    pub(super) async fn carry_out(
        &self,
        which: Ends,
        (now, range): (OffsetDateTime, ShardRange),
        redis: &RedisConnection,
    ) -> Result<Vec<TokenKey>, Failed> {
        let mut deleted = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .truth
                .list_ends(which, now, after.as_ref(), ROUNDS_PAGE)
                .await
                .map_err(Failed::Truth)?;
            let mut own = page.ends;
            own.retain(|end| range.has(&end.access_token));
            for some in own.chunks(ENDS_PAGE) {
                deleted.extend(self.carry_out_page(redis, some).await?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(deleted);
            }
        }
    }

    async fn carry_out_page(
        &self,
        redis: &RedisConnection,
        ends: &[EndedToken],
    ) -> Result<Vec<TokenKey>, Failed> {
        let token = |end: &&EndedToken| end.access_token.clone();
        // What was published has happened; of the others the truth knows.
        let (told, mut untold): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.is_published);
        let asked: Vec<TokenKey> = untold.iter().map(token).collect();
        let present = self.truth.find_present(&asked).await;
        let present = present.map_err(Failed::Truth)?;
        untold.retain(|end| !present.contains(&end.access_token));
        let ended: Vec<TokenKey> = told.iter().chain(&untold).map(token).collect();
        redis.delete(&ended).await.map_err(Failed::Redis)?;
        if !untold.is_empty() {
            // If it fails, the same is done again in a moment.
            let settled = SettledEnds::published(untold);
            let _done_again = self.truth.settle_ends(&settled).await;
        }
        Ok(ended)
    }

    /// Puts back what Redis lacks of the next live tokens, and tells where to go on; `None` at the
    /// end.
    pub(super) async fn restore(
        &self,
        redis: &RedisConnection,
        range: ShardRange,
        at: Restoring,
    ) -> Result<Option<Restoring>, Failed> {
        let now = self.now();
        let page = self.truth.list_live(now, at.after.as_ref(), LIVE_PAGE);
        let page = page.await.map_err(Failed::Truth)?;
        let tokens: Vec<TokenKey> = page
            .iter()
            .map(|record| record.access_token.clone())
            .filter(|token| range.has(token))
            .collect();
        let grants = self.truth.find_grants(&tokens).await;
        let live = live(tokens, grants.map_err(Failed::Truth)?, now);
        let put = self.put_back(redis, Put::Absent, &live).await;
        let put = match put.map_err(Failed::Redis)? {
            PutBack::Put(count) => count,
            PutBack::Unconfirmed(error) => return Err(Failed::Truth(error)),
            // It has noted that it refused some, so this begins anew in a while.
            PutBack::Full => return Ok(None),
        };
        if put > 0 {
            tracing::info!(tokens = put, "put back into Redis what it had lost");
        }
        let is_believed = put * 100 <= live.len() * (100 - BELIEVED_PERCENT);
        if is_believed && !at.is_whole {
            return Ok(None);
        }
        Ok(page.into_iter().last().map(|last| Restoring {
            after: Some(last),
            // Redis has lost some: how many, only a look at all of them tells.
            is_whole: true,
            ..at
        }))
    }

    /// Puts live tokens into Redis. The truth is asked again before they stay. Fails only if Redis
    /// does.
    pub(super) async fn put_back(
        &self,
        redis: &RedisConnection,
        which: Put,
        live: &HashMap<TokenKey, Grant>,
    ) -> Result<PutBack, StoreError> {
        let begun = redis.begin();
        let put = self.put_and_confirm(redis, which, live).await?;
        begun.confirm();
        Ok(put)
    }

    async fn put_and_confirm(
        &self,
        redis: &RedisConnection,
        which: Put,
        live: &HashMap<TokenKey, Grant>,
    ) -> Result<PutBack, StoreError> {
        let all: Vec<(TokenKey, &Grant)> = live
            .iter()
            .map(|(token, grant)| (token.clone(), grant))
            .collect();
        let put = match redis.put(which, &all, self.now()).await? {
            Outcome::Put(put) => put,
            Outcome::Full => return Ok(PutBack::Full),
        };
        let budget = match which {
            Put::Any => CONFIRM_BUDGET,
            Put::Absent => TRUTH_BUDGET,
        };
        let confirmed = match self.still_live(redis, &put, budget).await? {
            Ok(confirmed) => confirmed,
            Err(error) => return Ok(PutBack::Unconfirmed(error)),
        };
        let grant = |token: &TokenKey| Some((token.clone(), live.get(token)?));
        let grants: Vec<(TokenKey, &Grant)> = confirmed.iter().filter_map(grant).collect();
        let is_safe = redis.confirm(&grants, self.now()).await?;
        if !is_safe && let Err(error) = self.still_live(redis, &confirmed, budget).await? {
            return Ok(PutBack::Unconfirmed(error));
        }
        Ok(PutBack::Put(put.len()))
    }

    // Those of these tokens that live on in the truth; the others are deleted, and all of them if it does
    // not answer: also a plain key that was there before, since another server may have made it by the
    // companion that we put. A primary that was deposed and does not know it yet knows of no end since,
    // and what it told would let tokens in on all servers: so a majority confirms it first. Fails only if
    // Redis does.
    async fn still_live(
        &self,
        redis: &RedisConnection,
        tokens: &[TokenKey],
        budget: Duration,
    ) -> Result<Result<Vec<TokenKey>, StoreError>, StoreError> {
        if tokens.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let found = within_budget(budget, async {
            self.truth.confirm().await?;
            self.truth.find_by_access_token(tokens).await
        });
        let found = match found.await {
            Ok(found) => found,
            Err(error) => {
                redis.delete(tokens).await?;
                return Ok(Err(error));
            }
        };
        let pairs = tokens.iter().cloned().zip(found);
        let (live, ended): (Vec<_>, Vec<_>) = pairs.partition(|(_, record)| record.is_some());
        let tokens =
            |pairs: Vec<(TokenKey, _)>| pairs.into_iter().map(|(token, _)| token).collect();
        let ended: Vec<TokenKey> = tokens(ended);
        redis.delete(&ended).await?;
        Ok(Ok(tokens(live)))
    }
}

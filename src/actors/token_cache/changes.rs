//! Changes of the fast copy: what is to be set and deleted, for each shard as one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::shard::message::TokenCacheMessage;
use super::{CacheError, TokenCache};
use crate::actors::handle::within;
use crate::domain::token_key::TokenKey;
use crate::stores::redis::connection::Publication;

/// The longest a change waits.
const CHANGE_DEADLINE: Duration = Duration::from_secs(5);

impl TokenCache {
    /// Makes changes in Redis and the local copy: new keys set, ended ones deleted, in one
    /// transaction for all that is of one shard. Gives the outcome of each change.
    ///
    /// An outcome is [`CacheError`] when Redis did not confirm all of the change. What was to be
    /// deleted is then deleted before that Redis is trusted again, if its end is remembered in the
    /// truth.
    pub(in crate::actors) async fn publish(
        &self,
        changes: Vec<Publication>,
    ) -> Vec<Result<(), CacheError>> {
        for token in changes.iter().flat_map(|change| &change.delete) {
            if let Some(shard) = self.shard(token) {
                // Whoever asked the truth before this end may still put the token back into Redis.
                shard.local.end(std::slice::from_ref(token));
            }
        }
        self.change(changes).await
    }

    /// Takes tokens that have ended out of Redis and the local copy.
    ///
    /// # Errors
    /// As an outcome of [`TokenCache::publish`].
    pub(in crate::actors) async fn withdraw(
        &self,
        delete: Vec<TokenKey>,
    ) -> Result<(), CacheError> {
        let set = Vec::new();
        let outcomes = self.change(vec![Publication { set, delete }]).await;
        outcomes.into_iter().collect()
    }

    /// As [`TokenCache::withdraw`], for tokens of which nobody knows whether they have ended: what
    /// lives is put back within seconds of the truth's telling so.
    ///
    /// # Errors
    /// As [`TokenCache::withdraw`].
    pub(in crate::actors) async fn withdraw_doubtful(
        &self,
        delete: Vec<TokenKey>,
    ) -> Result<(), CacheError> {
        let losses = delete.iter().filter_map(|token| self.shard(token));
        let losses: Vec<_> = losses.map(|shard| Arc::clone(&shard.losses)).collect();
        let withdrawn = self.withdraw(delete).await;
        // Not before: a look for what Redis lacks may have been under way.
        for own in losses {
            own.note();
        }
        withdrawn
    }

    async fn change(&self, changes: Vec<Publication>) -> Vec<Result<(), CacheError>> {
        let (parts, shards) = self.split(changes);
        let outcomes = parts
            .into_iter()
            .map(|(index, part)| async move { (index, self.change_shard(index, part).await) });
        let outcomes: BTreeMap<usize, Result<(), CacheError>> =
            join_all(outcomes).await.into_iter().collect();
        let of_all =
            |own: BTreeSet<usize>| own.iter().try_for_each(|index| outcomes[index].clone());
        shards.into_iter().map(of_all).collect()
    }

    async fn change_shard(&self, index: usize, part: Publication) -> Result<(), CacheError> {
        let Some(shard) = self.0.shards.get(index) else {
            return Ok(());
        };
        // The actor does so too. But it may be dead, and what has ended in the truth must not be
        // served by this server while its successor is awaited.
        shard.local.forget(&part.delete);
        let has_new = !part.set.is_empty();
        let message = TokenCacheMessage::Change;
        let changed = shard.changes.ask(part, within(CHANGE_DEADLINE), message);
        let changed = changed.await;
        if changed.is_err() && has_new {
            // The shard died with it, or will be late.
            shard.losses.note();
        }
        changed?
    }

    // What each shard can do in one transaction, and which shards each change is of.
    fn split(
        &self,
        changes: Vec<Publication>,
    ) -> (BTreeMap<usize, Publication>, Vec<BTreeSet<usize>>) {
        let mut parts = BTreeMap::<usize, Publication>::new();
        let mut shards = Vec::with_capacity(changes.len());
        for change in changes {
            let mut own = BTreeSet::new();
            for (token, grant) in change.set {
                let index = self.index(&token);
                own.insert(index);
                parts.entry(index).or_default().set.push((token, grant));
            }
            for token in change.delete {
                let index = self.index(&token);
                own.insert(index);
                parts.entry(index).or_default().delete.push(token);
            }
            shards.push(own);
        }
        (parts, shards)
    }
}

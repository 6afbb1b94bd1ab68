//! The lane of changes: what is set and deleted in Redis and dropped from the local copy.

use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};

use super::{State, TokenCacheMessage};
use crate::actors::batch::{Landed, launch};
use crate::actors::token_cache::CacheError;
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;
use crate::stores::redis::connection::Publication;

/// What became of a batch of changes.
pub(in super::super) struct ChangeOutcome {
    /// The connection that was asked; none is no failure of it.
    number: Option<u64>,
    deleted: Vec<TokenKey>,
    has_failed: bool,
}

impl State {
    pub(super) fn take_off_changes(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        let Some(calls) = self.changes.take_off(usize::MAX) else {
            return;
        };
        let changes: Vec<Publication> = calls.iter().map(|call| call.request.clone()).collect();
        let has_new = changes.iter().any(|change| !change.set.is_empty());
        let deleted: Vec<TokenKey> = changes
            .iter()
            .flat_map(|change| change.delete.iter().cloned())
            .collect();
        self.arguments.local.forget(&deleted);
        let (flights, redis) = (self.arguments.flights.clone(), self.redis());
        let has_redis = self.arguments.endpoint.is_some();
        if redis.is_none() && has_redis {
            self.owed.extend(deleted.iter().cloned());
        }
        let number = redis.is_some().then_some(self.number);
        let local = Arc::clone(&self.arguments.local);
        let losses = Arc::clone(&self.arguments.losses);
        let flight = async move {
            let done = match redis {
                Some(redis) => flights.change(redis, changes).await,
                None if has_redis => Err(StoreError::Timeout { store: "Redis" }),
                None => Ok(()),
            };
            if done.is_err() && has_new {
                losses.note();
            }
            // A look-up that began before the change reached Redis may have seen what was there.
            local.forget(&deleted);
            let has_failed = done.is_err();
            let done = done.map_err(|error| Arc::new(error) as Arc<_>);
            for call in calls {
                call.answer(done.clone().map_err(CacheError::Unavailable));
            }
            ChangeOutcome {
                number,
                deleted,
                has_failed,
            }
        };
        launch(myself.clone(), flight, TokenCacheMessage::ChangeLanded);
    }

    pub(super) fn change_landed(
        &mut self,
        landed: Landed<ChangeOutcome>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let outcome = self.changes.land(landed)?;
        if outcome.has_failed
            && let Some(number) = outcome.number
        {
            self.owed.extend(outcome.deleted);
            self.drop_if(number == self.number, myself);
        }
        Ok(())
    }
}

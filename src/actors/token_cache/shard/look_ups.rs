//! The lanes of look-ups: in Redis, and in the truth for what Redis does not prove.

use std::collections::HashSet;
use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};

use super::{Connection, State, TokenCacheMessage};
use crate::actors::batch::{Gathered, Landed, launch};
use crate::actors::token_cache::CacheError;
use crate::actors::token_cache::flight::{LookUp, RedisOutcome, TruthOutcome};
use crate::actors::token_cache::live_token::LiveToken;
use crate::domain::token_key::TokenKey;

/// Most tokens of one look-up in the truth: a flood of unknown ones waits here, not in MongoDB.
const TRUTH_BATCH: usize = 64;
/// Most look-ups that wait for the truth: less than the bound of a shard, so that a flood of unknown
/// tokens never keeps those from Redis that it knows.
const TRUTH_QUEUE: usize = 256;

impl State {
    pub(super) fn look_up(&mut self, calls: Gathered<LookUp>) {
        match self.connection {
            Connection::Up(_) => self.look_ups.push(calls),
            Connection::Down => self.ask_truth_instead(calls),
        }
    }

    pub(super) fn ask_truth_instead(&mut self, calls: Gathered<LookUp>) {
        for call in calls.take() {
            self.ask_truth_for(call);
        }
    }

    // What waits for the truth holds permits that look-ups in Redis need, too.
    fn ask_truth_for(&mut self, call: LookUp) {
        if self.missing.waiting() >= TRUTH_QUEUE {
            self.missing.retain(|call| !call.is_stale());
        }
        if self.missing.waiting() < TRUTH_QUEUE {
            self.missing.push(call);
        } else {
            call.answer(Err(CacheError::Overloaded));
        }
    }

    pub(super) fn take_off_look_ups(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        let noted = self.arguments.local.note();
        if let Connection::Up(redis) = &self.connection
            && let Some(gathered) = self.look_ups.take_off(usize::MAX)
        {
            let (flights, redis) = (self.arguments.flights.clone(), Arc::clone(redis));
            let (local, number) = (Arc::clone(&self.arguments.local), self.number);
            let flight = async move {
                // Requests that have arrived are read first: what they ask for goes with this.
                tokio::task::yield_now().await;
                let gathered = gathered.into_iter().flat_map(Gathered::take);
                let calls = gathered.filter(|call| !call.is_stale()).collect();
                // Some of them may have come after the connection was dropped.
                if local.has_lost(number) {
                    return (number, RedisOutcome::of_none(calls, noted));
                }
                (number, flights.ask_redis(redis, calls, noted).await)
            };
            launch(myself.clone(), flight, TokenCacheMessage::RedisLanded);
        }
        if let Some(mut calls) = self.missing.take_off(TRUTH_BATCH) {
            let (flights, redis) = (self.arguments.flights.clone(), self.redis());
            calls.retain(|call| !call.is_stale());
            let number = self.number;
            let flight = async move { (number, flights.ask_truth(redis, calls, noted).await) };
            launch(myself.clone(), flight, TokenCacheMessage::TruthLanded);
        }
    }

    pub(super) fn redis_landed(
        &mut self,
        landed: Landed<(u64, RedisOutcome)>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let (number, outcome) = self.look_ups.land(landed)?;
        self.arguments.local.fill(outcome.noted, outcome.found);
        for call in outcome.missing {
            self.ask_truth_for(call);
        }
        self.drop_if(outcome.has_failed && number == self.number, myself);
        Ok(())
    }

    pub(super) fn truth_landed(
        &mut self,
        landed: Landed<(u64, TruthOutcome)>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let (number, outcome) = self.missing.land(landed)?;
        // Redis tells only of changes to what was read there: with a Redis, it is asked again for
        // what the truth put back, and that answer is kept.
        if outcome.is_put_back {
            self.ask_redis_instead(&outcome.found);
        }
        let local = &self.arguments.local;
        local.fill_unknown(outcome.unknown);
        if self.arguments.endpoint.is_none() {
            local.fill(outcome.noted, outcome.found);
        } else {
            local.fill_untold((outcome.noted, outcome.asked_at), outcome.found);
        }
        if outcome.has_failed || outcome.is_lost {
            self.arguments.losses.note();
        }
        self.drop_if(outcome.has_failed && number == self.number, myself);
        Ok(())
    }

    // Who waits for the truth to tell of a token that was just put back asks Redis instead: an
    // emptied Redis costs the truth one look-up for each token.
    fn ask_redis_instead(&mut self, found: &[(TokenKey, LiveToken)]) {
        let found: HashSet<&TokenKey> = found.iter().map(|(token, _)| token).collect();
        for call in self.missing.drain() {
            if found.contains(&call.request) {
                if let Some(calls) = self.arguments.gathering.push(call) {
                    self.look_up(calls);
                }
            } else {
                self.missing.push(call);
            }
        }
    }
}

//! The connection of one shard: made, trusted, watched, dropped and made again.

use std::sync::Arc;

use ractor::{ActorProcessingErr, ActorRef};

use super::{BEAT, BEAT_ANSWER, Connection, FIRST_DELAY, LAST_DELAY, State, TokenCacheMessage};
use crate::actors::batch::{Landed, launch};
use crate::actors::token_cache::catch_up::ENDS_PAGE;
use crate::actors::token_cache::flight::{REPLAY_BUDGET, Reached, on_event};
use crate::actors::token_cache::local_copy::Source;
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;
use crate::stores::redis::connection::RedisConnection;
use crate::stores::redis::endpoints::CacheEvent;
use crate::telemetry::chain::Chain;
use crate::telemetry::metrics::CACHE_ERRORS;

/// Most ends that are owed to a Redis which is connected to again; with more, all are carried out.
const MOST_OWED: usize = 10_000;

/// Whether the connection of this number failed to give a sign of life.
pub(in super::super) struct Beaten {
    number: u64,
    has_failed: bool,
}

/// What a connect brought.
pub(in super::super) struct Connected {
    reached: Reached,
    /// How many ends were owed before: carried out, if all were.
    owed: usize,
}

impl State {
    pub(super) fn take_off_connect(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        if matches!(self.connection, Connection::Up(_)) || self.connects.take_off(1).is_none() {
            return;
        }
        let Some(endpoint) = self.arguments.endpoint.clone() else {
            self.arguments.local.trust(Source::ThisProcess);
            self.arguments.connected.send_replace(true);
            return;
        };
        let now = self.arguments.flights.now();
        if self.owed.len() > MOST_OWED || now < self.replayed_at {
            self.earlier = None;
        }
        if self.earlier.is_none() {
            // All remembered ends will be carried out, and these are among them.
            self.owed.clear();
        }
        let (earlier, owed) = (self.earlier.clone(), self.owed.len());
        let (local, teller) = (Arc::clone(&self.arguments.local), myself.clone());
        let number = local.next_connection();
        self.number = number;
        let tell = move |event: CacheEvent| {
            let message = match &event {
                CacheEvent::Disconnected => Some(TokenCacheMessage::Disconnected(number)),
                CacheEvent::InvalidatedAll => Some(TokenCacheMessage::Flushed(number)),
                CacheEvent::Invalidated(_) => None,
            };
            if let Some(message) = message {
                let _actor_restarted = teller.cast(message);
            }
            on_event(&local, number, event);
        };
        let flights = self.arguments.flights.clone();
        let range = self.arguments.range;
        let target = (endpoint, self.arguments.local.predecessor());
        let is_to_diagnose = self.arguments.first_of.is_some() && number == 1;
        let flight = async move {
            let reached = flights.connect(target, earlier, (now, range), tell).await?;
            if is_to_diagnose {
                for warning in reached.redis.diagnose().await {
                    tracing::warn!("{warning}");
                }
            }
            Ok(Connected { reached, owed })
        };
        launch(myself.clone(), flight, TokenCacheMessage::Connected);
    }

    pub(super) fn connected(
        &mut self,
        landed: Landed<Result<Connected, StoreError>>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        match self.connects.land(landed)? {
            Ok(_) if self.lost == self.number => self.connect_later(myself),
            Ok(Connected { reached, owed }) => {
                if let Some(at) = reached.replayed_at {
                    self.replayed_at = at;
                    self.owed.drain(..owed);
                }
                if self.owed.is_empty() {
                    self.trust(reached.redis, myself);
                } else {
                    self.settle(reached.redis, myself);
                }
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "Redis cannot be used; working from the truth");
                self.connect_later(myself);
            }
        }
        Ok(())
    }

    pub(super) fn trust(
        &mut self,
        redis: Arc<RedisConnection>,
        myself: &ActorRef<TokenCacheMessage>,
    ) {
        let tracks_changes = redis.tracks_changes();
        self.beat_later(myself);
        self.arguments.local.remember(redis.id());
        self.earlier = redis.continuity();
        self.connection = Connection::Up(redis);
        let source = Source::Connection(self.number);
        self.arguments
            .local
            .trust(if tracks_changes { source } else { Source::None });
        self.arguments.connected.send_replace(true);
        self.catch_up_later(myself);
        self.restore();
        tracing::info!(redis.tracks_changes = tracks_changes, "Redis is trusted");
    }

    // Deletes what ended while the connect was under way, before this Redis is trusted.
    pub(super) fn settle(
        &mut self,
        redis: Arc<RedisConnection>,
        myself: &ActorRef<TokenCacheMessage>,
    ) {
        let owed = std::mem::take(&mut self.owed);
        // If it fails nobody knows any more what is owed.
        self.earlier = None;
        self.connects.push(());
        let _in_flight = self.connects.take_off(1);
        let flight = async move {
            settle_owed(&redis, &owed).await?;
            let reached = Reached {
                redis,
                replayed_at: None,
            };
            Ok(Connected { reached, owed: 0 })
        };
        launch(myself.clone(), flight, TokenCacheMessage::Connected);
    }

    pub(super) fn connect_later(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        metrics::counter!(CACHE_ERRORS).increment(1);
        myself.send_after(self.delay, || TokenCacheMessage::Connect);
        self.delay = (self.delay * 2).min(LAST_DELAY);
    }

    pub(super) fn beat_later(&self, myself: &ActorRef<TokenCacheMessage>) {
        let number = self.number;
        myself.send_after(BEAT, move || TokenCacheMessage::Beat(number));
    }

    pub(super) fn beat(&mut self, number: u64) {
        if number == self.number && matches!(self.connection, Connection::Up(_)) {
            self.beats.push(number);
        }
    }

    pub(super) fn take_off_beat(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        if let Connection::Up(redis) = &self.connection
            && self.beats.take_off(1).is_some()
        {
            let patient = RedisConnection::clone(redis).with_deadline(BEAT_ANSWER);
            let number = self.number;
            let flight = async move {
                let has_failed = patient.ping().await.is_err();
                Beaten { number, has_failed }
            };
            launch(myself.clone(), flight, TokenCacheMessage::BeatLanded);
        }
    }

    pub(super) fn beat_landed(
        &mut self,
        landed: Landed<Beaten>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let beaten = self.beats.land(landed)?;
        if beaten.number == self.number {
            self.drop_if(beaten.has_failed, myself);
            if !beaten.has_failed {
                // One that is lost as soon as it is trusted has every connect read all ends.
                self.delay = FIRST_DELAY;
                self.beat_later(myself);
            }
        }
        Ok(())
    }

    pub(super) fn disconnected(&mut self, number: u64, myself: &ActorRef<TokenCacheMessage>) {
        // It may come before the connect has landed.
        self.lost = self.lost.max(number);
        self.drop_if(number == self.number, myself);
    }

    // Redis did not fail, so nothing is to be waited for; who wants a revocation confirmed waits.
    pub(super) fn start_over(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        self.lost = self.number;
        self.earlier = None;
        if matches!(self.connection, Connection::Up(_)) {
            tracing::info!("Redis is trusted anew");
            self.drop_connection();
            let _never_to_the_dead = myself.cast(TokenCacheMessage::Connect);
        }
    }

    // After any fault the connection is dropped: a late reply on it could be taken for another.
    pub(super) fn drop_if(&mut self, has_failed: bool, myself: &ActorRef<TokenCacheMessage>) {
        if has_failed && matches!(self.connection, Connection::Up(_)) {
            tracing::warn!("the connection to Redis failed; working from the truth");
            self.drop_connection();
            self.connect_later(myself);
        }
    }

    fn drop_connection(&mut self) {
        self.connection = Connection::Down;
        self.arguments.local.distrust(self.number);
        self.arguments.connected.send_replace(false);
        for calls in self.look_ups.drain() {
            self.ask_truth_instead(calls);
        }
    }
}

async fn settle_owed(redis: &RedisConnection, owed: &[TokenKey]) -> Result<(), StoreError> {
    let patient = redis.clone().with_deadline(REPLAY_BUDGET);
    for some in owed.chunks(ENDS_PAGE) {
        patient.delete(some).await?;
    }
    Ok(())
}

//! What brings a trusted Redis up to date with the truth: five times a second the ends that their writer
//! could not carry out, and after a connect or a flush the live tokens that it lost.

use std::time::Duration;

use ractor::{ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use super::{State, TokenCacheMessage};
use crate::actors::batch::{Landed, launch};
use crate::actors::token_cache::catch_up::{Failed, Restoring};
use crate::domain::token_key::TokenKey;
use crate::stores::ends::Ends;
use crate::telemetry::chain::Chain;

/// Between two looks for ends that were not carried out: another server may have lost its Redis,
/// or its life, before it could, and this one is to obey within 250 ms. It is a look into an index
/// of what is unpublished, which is empty as a rule.
const ENDS_PAUSE: Duration = Duration::from_millis(200);
/// From the end of a look for live tokens that Redis lost to the next: a Redis that is full for a
/// while is asked again so often.
const RESTORES_PAUSE: Duration = Duration::from_secs(5);
/// Between two pages of live tokens, so that a large collection is no flood.
const RESTORE_PAUSE: Duration = Duration::from_millis(50);

/// What a look for live tokens brought.
pub(in super::super) enum Restored {
    /// Where to go on.
    Page(Box<Restoring>),
    /// The look of this number has ended.
    Done(u64),
    /// The connection of this number failed.
    Failed(u64),
}

/// What a look for ends brought, over the connection of this number.
pub(in super::super) struct CaughtUp {
    number: u64,
    outcome: Result<Vec<TokenKey>, Failed>,
}

impl State {
    pub(super) fn catch_up_later(&self, myself: &ActorRef<TokenCacheMessage>) {
        let number = self.number;
        myself.send_after(ENDS_PAUSE, move || TokenCacheMessage::CatchUp(number));
    }

    pub(super) fn catch_up(&mut self, number: u64, myself: &ActorRef<TokenCacheMessage>) {
        // Without a connection it would wait for the next one, which has a timer of its own.
        if number != self.number || self.redis().is_none() {
            return;
        }
        if self.arguments.flights.now() < self.replayed_at {
            // To a clock that stood ahead then, ends had expired that are to be carried out.
            self.start_over(myself);
        } else {
            self.catching_up.push(number);
            self.restore_again();
        }
    }

    pub(super) fn take_off_catch_up(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        if let Some(redis) = self.redis()
            && self.catching_up.take_off(usize::MAX).is_some()
        {
            let (flights, number) = (self.arguments.flights.clone(), self.number);
            let (now, range) = (flights.now(), self.arguments.range);
            let flight = async move {
                let outcome = flights
                    .carry_out(Ends::Unpublished, (now, range), &redis)
                    .await;
                CaughtUp { number, outcome }
            };
            launch(myself.clone(), flight, TokenCacheMessage::CaughtUp);
        }
    }

    pub(super) fn caught_up(
        &mut self,
        landed: Landed<CaughtUp>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let caught_up = self.catching_up.land(landed)?;
        if caught_up.number != self.number {
            return Ok(());
        }
        match caught_up.outcome {
            Ok(deleted) => self.arguments.local.forget(&deleted),
            Err(Failed::Truth(error)) => tracing::debug!(error = %Chain(&error), "ends wait"),
            Err(Failed::Redis(_)) => self.drop_if(true, myself),
        }
        self.catch_up_later(myself);
        Ok(())
    }

    pub(super) fn flushed(&mut self, number: u64) {
        // Each shard is told; one of them sees to it.
        if number == self.number && self.arguments.first_of.is_some() {
            self.arguments.losses.note();
            self.restore();
        }
    }

    // Redis refused tokens, or was not told of some, since the last look for such.
    fn restore_again(&mut self) {
        let losses = &self.arguments.losses;
        if self.redis().is_some_and(|redis| redis.has_refused()) {
            losses.note();
        }
        let is_due = self.restored_at.elapsed() >= RESTORES_PAUSE;
        if losses.is_open() && is_due && !self.is_restoring {
            self.restore();
        }
    }

    /// Looks for live tokens that Redis lost, from the latest on, through all of them if it is known
    /// to have lost some; a look that is under way is given up. One shard of an endpoint does it for
    /// all.
    pub(super) fn restore(&mut self) {
        if self.arguments.first_of.is_none() {
            return;
        }
        let is_whole = self.arguments.losses.is_open();
        self.restore_losses = self.arguments.losses.so_far();
        self.is_restoring = true;
        self.restore_number += 1;
        self.restores.push(Restoring {
            number: self.restore_number,
            is_whole,
            after: None,
        });
    }

    pub(super) fn restore_on(&mut self, at: Restoring) {
        if at.number == self.restore_number {
            self.restores.push(at);
        }
    }

    pub(super) fn take_off_restore(&mut self, myself: &ActorRef<TokenCacheMessage>) {
        if let (Some(redis), Some(range)) = (self.redis(), self.arguments.first_of)
            && let Some(mut waiting) = self.restores.take_off(usize::MAX)
            && let Some(at) = waiting.pop()
        {
            let (flights, number) = (self.arguments.flights.clone(), self.number);
            let flight = async move {
                let next = flights.restore(&redis, range, at.clone()).await;
                match next {
                    Ok(Some(next)) => Restored::Page(Box::new(next)),
                    Ok(None) => Restored::Done(at.number),
                    // The truth is away: the same page again when it is back.
                    Err(Failed::Truth(_)) => Restored::Page(Box::new(at)),
                    Err(Failed::Redis(_)) => Restored::Failed(number),
                }
            };
            launch(myself.clone(), flight, TokenCacheMessage::Restored);
        }
    }

    pub(super) fn restored(
        &mut self,
        landed: Landed<Restored>,
        myself: &ActorRef<TokenCacheMessage>,
    ) -> Result<(), ActorProcessingErr> {
        match self.restores.land(landed)? {
            Restored::Page(next) => {
                let losses = &self.arguments.losses;
                if next.is_whole && next.number == self.restore_number && !losses.is_open() {
                    // It has only now been found: if this look is cut off, the next is whole.
                    self.restore_losses = losses.note();
                }
                myself.send_after(RESTORE_PAUSE, || TokenCacheMessage::RestoreOn(*next));
            }
            Restored::Done(number) if number == self.restore_number => {
                self.arguments.losses.make_good(self.restore_losses);
                self.is_restoring = false;
                self.restored_at = Instant::now();
            }
            Restored::Done(_) => {}
            // A look begins anew with the next connection.
            Restored::Failed(number) => self.drop_if(number == self.number, myself),
        }
        Ok(())
    }
}

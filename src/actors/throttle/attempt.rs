//! An attempt that is under way.

use ractor::ActorRef;

use super::actor::ThrottleMessage;
use super::error::ThrottledBy;
use crate::actors::batch::Haste;
use crate::domain::attempt::{AttemptOutcome, Reservation};

/// An attempt that was counted, until somebody says how it ended. Dropped before, as when its caller
/// leaves or a store fails, it is given back; but at the console it has failed, or who leaves each time
/// before the answer could guess for ever.
#[must_use = "dropped, it counts no longer, or as failed"]
pub struct Attempt {
    reservations: Vec<(Reservation, ThrottledBy)>,
    actor: Option<ActorRef<ThrottleMessage>>,
    /// That of noting that it failed: until then it counts as one that may yet fail.
    haste: Haste,
}

impl Attempt {
    /// One that counts for nothing.
    pub(super) fn uncounted() -> Self {
        Self {
            reservations: Vec::new(),
            actor: None,
            haste: Haste::AtOnce,
        }
    }

    /// One of which this actor is to be told.
    pub(super) fn of(actor: ActorRef<ThrottleMessage>, haste: Haste) -> Self {
        Self {
            reservations: Vec::new(),
            actor: Some(actor),
            haste,
        }
    }

    pub(super) fn add(&mut self, reservation: Reservation, by: ThrottledBy) {
        self.reservations.push((reservation, by));
    }

    /// It failed.
    pub fn failed(mut self) {
        self.settle(self.haste, |_by| AttemptOutcome::Failed);
    }

    /// It succeeded. The failures of the same user name are forgotten; those of the network are
    /// not, or whoever has a user of his own could guess for ever.
    pub fn succeeded(mut self) {
        self.settle(Haste::AtOnce, |by| match by {
            ThrottledBy::User => AttemptOutcome::Redeemed,
            ThrottledBy::Network | ThrottledBy::Client | ThrottledBy::Console => {
                AttemptOutcome::GivenBack
            }
        });
    }

    /// Nothing was looked at: it counts no longer.
    pub fn given_back(mut self) {
        self.settle(Haste::AtOnce, |_by| AttemptOutcome::GivenBack);
    }

    fn settle(&mut self, haste: Haste, outcome: impl Fn(ThrottledBy) -> AttemptOutcome) {
        let reservations = std::mem::take(&mut self.reservations).into_iter();
        let ended: Vec<_> = reservations
            .map(|(reservation, by)| (reservation, outcome(by)))
            .collect();
        if let Some(actor) = self.actor.as_ref().filter(|_| !ended.is_empty()) {
            // Untold, it counts as failed.
            let _actor_restarted = actor.cast(ThrottleMessage::Settle(ended, haste));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.settle(Haste::AtOnce, |by| match by {
            ThrottledBy::Console => AttemptOutcome::Failed,
            ThrottledBy::User | ThrottledBy::Network | ThrottledBy::Client => {
                AttemptOutcome::GivenBack
            }
        });
    }
}

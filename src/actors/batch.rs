//! Batching: while one round trip to a store is in flight, what arrives is collected; when it
//! lands, all of it goes as one. Alone, a request waits for nothing, unless it says that it can.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use ractor::{ActorProcessingErr, ActorRef, Message};

use super::supervisor::surrounded::Surroundings;

/// How long what has time waits for others to go with.
pub(super) const COMPANY: Duration = Duration::from_millis(100);

/// So many need no more company: what waits here is in no other queue, whose bound would hold.
const ENOUGH: usize = 16;

/// When something leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// As soon as it can.
    AtOnce,
    /// Whoever waits for it waits longer for something else: it may wait for others to go with, up to
    /// a tenth of a second.
    InCompany,
}

/// What waits for the next flight of one actor, of which one is in the air at a time.
pub(super) struct Batch<T> {
    waiting: Vec<T>,
    is_in_flight: bool,
    /// Whether what waits leaves as soon as it can.
    is_due: bool,
    /// Whether the actor will be told that it is.
    is_timed: bool,
}

/// A flight came back. Holds what it brought, or the fact that it panicked.
pub(super) struct Landed<T>(Option<T>);

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            is_in_flight: false,
            is_due: false,
            is_timed: false,
        }
    }

    /// Adds what must leave as soon as it can.
    pub(super) fn push(&mut self, item: T) {
        self.waiting.push(item);
        self.is_due = true;
    }

    /// Adds what may have time. Then `remind` must see to it that [`Batch::be_due`] is called after
    /// [`COMPANY`].
    pub(super) fn push_with(&mut self, haste: Haste, item: T, remind: impl FnOnce()) {
        match haste {
            Haste::AtOnce => self.push(item),
            Haste::InCompany => {
                self.waiting.push(item);
                if !self.is_due && !self.is_timed {
                    self.is_timed = true;
                    remind();
                }
            }
        }
    }

    /// Lets what waits leave as soon as it can: the first of it has waited long enough.
    pub(super) fn be_due(&mut self) {
        self.is_timed = false;
        self.is_due = !self.waiting.is_empty();
    }

    /// All that waits but at most `limit`, if it is due or [`ENOUGH`], and no flight is in the air. The
    /// caller must [`launch`] it.
    pub(super) fn take_off(&mut self, limit: usize) -> Option<Vec<T>> {
        let may_leave = self.is_due || self.waiting.len() >= ENOUGH;
        if self.is_in_flight || self.waiting.is_empty() || !may_leave {
            return None;
        }
        self.is_in_flight = true;
        let count = limit.min(self.waiting.len());
        let leaving = self.waiting.drain(..count).collect();
        self.is_due = !self.waiting.is_empty();
        Some(leaving)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Drops what waits in vain.
    pub(super) fn retain(&mut self, is_wanted: impl FnMut(&T) -> bool) {
        self.waiting.retain(is_wanted);
    }

    /// All that waits, to go another way.
    pub(super) fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.waiting)
    }

    /// Notes that the flight landed, and hands out what it brought.
    ///
    /// # Errors
    /// When the flight panicked: a bug, so the actor passes it on and is restarted.
    pub(super) fn land<R>(&mut self, landed: Landed<R>) -> Result<R, ActorProcessingErr> {
        self.is_in_flight = false;
        landed.outcome()
    }
}

impl<T> Landed<T> {
    /// What a flight brought that is of no batch.
    ///
    /// # Errors
    /// As [`Batch::land`].
    pub(super) fn outcome(self) -> Result<T, ActorProcessingErr> {
        self.0.ok_or_else(|| "a round trip panicked".into())
    }
}

/// Where calls gather for the next flight, for a lane so busy that a message for each would be felt:
/// the first of them is the only one that the actor hears of.
pub(super) struct Gathering<T>(Arc<Mutex<Vec<T>>>);

/// What has gathered until it is taken. Dropped before, as by an actor that dies, it drops all of it,
/// so that each caller hears of that at once.
pub(super) struct Gathered<T>(Option<Gathering<T>>);

impl<T> Gathering<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Adds to what has gathered. Who was the first has to tell the actor.
    pub(super) fn push(&self, item: T) -> Option<Gathered<T>> {
        let mut items = self.items();
        items.push(item);
        (items.len() == 1).then(|| Gathered(Some(self.clone())))
    }

    fn items(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Gathering<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Gathered<T> {
    /// All of it; who comes now is the first again.
    pub(super) fn take(mut self) -> Vec<T> {
        self.empty()
    }

    fn empty(&mut self) -> Vec<T> {
        let gathering = self.0.take();
        gathering.map_or_else(Vec::new, |own| {
            let mut items = own.items();
            // As many come again as a rule, and then find room.
            let next = Vec::with_capacity(items.len());
            std::mem::replace(&mut *items, next)
        })
    }
}

impl<T> Drop for Gathered<T> {
    fn drop(&mut self) {
        drop(self.empty());
    }
}

/// Runs a flight beside the actor and tells it by a message when it has landed. The calls travel
/// with the flight, so a restart of the actor does not lose them. To be called while the actor
/// handles a message: then the end of its tree waits for the flight.
pub(super) fn launch<M: Message, R: Send + 'static>(
    actor: ActorRef<M>,
    flight: impl Future<Output = R> + Send + 'static,
    message: impl FnOnce(Landed<R>) -> M + Send + 'static,
) {
    let surroundings = Surroundings::current();
    #[expect(
        clippy::disallowed_methods,
        reason = "the flight reports to its actor, also a panic"
    )]
    tokio::spawn(async move {
        let faults = surroundings.as_ref().map(Surroundings::faults);
        let outcome = match faults.filter(|_| cfg!(debug_assertions)) {
            Some(faults) => {
                let name = std::any::type_name_of_val(&message);
                caught(faults.run(name, flight)).await
            }
            None => caught(flight).await,
        };
        let _actor_restarted = actor.cast(message(Landed(outcome)));
        drop(surroundings);
    });
}

/// What a flight brings, or nothing when it panics.
async fn caught<R>(flight: impl Future<Output = R>) -> Option<R> {
    let outcome = std::panic::AssertUnwindSafe(flight).catch_unwind().await;
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_during_a_flight_goes_with_the_next() {
        let mut batch = Batch::new();
        batch.push(1);
        assert_eq!(batch.take_off(9), Some(vec![1]));
        batch.push(2);
        batch.push(3);
        assert_eq!(batch.take_off(9), None);
        assert!(batch.land(Landed(Some(()))).is_ok());
        assert_eq!(batch.take_off(9), Some(vec![2, 3]));
    }

    #[test]
    fn what_has_time_leaves_when_the_first_of_it_has_waited_long_enough() {
        let mut batch = Batch::new();
        let mut reminded = 0;
        for item in 1..=2 {
            batch.push_with(Haste::InCompany, item, || reminded += 1);
            assert_eq!(batch.take_off(9), None);
        }
        assert_eq!(reminded, 1);
        batch.be_due();
        assert_eq!(batch.take_off(9), Some(vec![1, 2]));
        batch.push_with(Haste::InCompany, 3, || reminded += 1);
        assert_eq!(reminded, 2);
        assert!(batch.land(Landed(Some(()))).is_ok());
        assert_eq!(batch.take_off(9), None);
    }

    #[test]
    fn what_must_leave_takes_along_what_has_time() {
        let mut batch = Batch::new();
        batch.push_with(Haste::InCompany, 1, || {});
        batch.push_with(Haste::AtOnce, 2, || panic!("it waits for nobody"));
        assert_eq!(batch.take_off(9), Some(vec![1, 2]));
        // The reminder of the first is still to come: what comes now is due no later.
        batch.push_with(Haste::InCompany, 3, || panic!("there will be one"));
        batch.be_due();
        assert!(batch.land(Landed(Some(()))).is_ok());
        assert_eq!(batch.take_off(9), Some(vec![3]));
    }

    #[test]
    fn enough_of_what_has_time_leaves_before() {
        let mut batch = Batch::new();
        for item in 1..ENOUGH {
            batch.push_with(Haste::InCompany, item, || {});
            assert_eq!(batch.take_off(9), None);
        }
        batch.push_with(Haste::InCompany, ENOUGH, || {});
        assert_eq!(batch.take_off(9).map(|leaving| leaving.len()), Some(9));
        assert!(batch.land(Landed(Some(()))).is_ok());
        assert_eq!(batch.take_off(9).map(|rest| rest.len()), Some(ENOUGH - 9));
    }

    #[test]
    fn a_reminder_that_comes_too_late_makes_nothing_due() {
        let mut batch = Batch::new();
        batch.push_with(Haste::InCompany, 1, || {});
        batch.push(2);
        assert_eq!(batch.take_off(9), Some(vec![1, 2]));
        assert!(batch.land(Landed(Some(()))).is_ok());
        batch.be_due();
        batch.push_with(Haste::InCompany, 3, || {});
        assert_eq!(batch.take_off(9), None);
    }

    #[test]
    fn only_the_first_that_gathers_is_told_of() {
        let gathering = Gathering::new();
        let first = gathering.push(1).unwrap();
        assert!(gathering.push(2).is_none());
        assert_eq!(first.take(), [1, 2]);
        let next = gathering.push(3).unwrap();
        assert_eq!(next.take(), [3]);
    }

    #[test]
    fn what_has_gathered_before_an_actor_goes_with_it() {
        let gathering = Gathering::new();
        let (item, count) = (Arc::new(()), Arc::strong_count);
        let gathered = gathering.push(Arc::clone(&item));
        assert!(gathering.push(Arc::clone(&item)).is_none());
        assert_eq!(count(&item), 3);
        drop(gathered);
        assert_eq!(count(&item), 1);
        assert!(gathering.push(item).is_some());
    }

    #[test]
    fn a_flight_that_panicked_is_an_error_of_the_actor() {
        let mut batch = Batch::<u8>::new();
        batch.push(1);
        batch.take_off(9);
        assert!(batch.land(Landed::<()>(None)).is_err());
    }
}

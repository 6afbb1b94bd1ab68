//! Batching: while one round trip to a store is in flight, what arrives is collected; when it
//! lands, all of it goes as one. Alone, a request waits for nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use ractor::{ActorProcessingErr, ActorRef, Message};

use super::supervisor::surrounded::Surroundings;

/// What waits for the next flight of one actor, of which one is in the air at a time.
pub(super) struct Batch<T> {
    waiting: Vec<T>,
    is_in_flight: bool,
}

/// A flight came back. Holds what it brought, or the fact that it panicked.
pub(super) struct Landed<T>(Option<T>);

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            is_in_flight: false,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        self.waiting.push(item);
    }

    /// All that waits but at most `limit`, if there is anything and no flight is in the air. The
    /// caller must [`launch`] it.
    pub(super) fn take_off(&mut self, limit: usize) -> Option<Vec<T>> {
        if self.is_in_flight || self.waiting.is_empty() {
            return None;
        }
        self.is_in_flight = true;
        let count = limit.min(self.waiting.len());
        Some(self.waiting.drain(..count).collect())
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

//! Typed handles to supervised actors. A handle survives restarts, bounds what is in flight
//! before the mailbox (mailboxes are not bounded by themselves), and gives each call a deadline.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorRef, Message};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

/// Why an actor gave no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AskError {
    /// More is in flight than the actor's bound. Nothing was begun.
    #[error("the actor has too much in flight")]
    Overloaded,
    /// The actor is down or died with the call. Whether a write happened is unknown.
    #[error("the actor is not there")]
    Gone,
    /// The deadline passed. Whether a write happened is unknown.
    #[error("the actor did not answer in time")]
    Timeout,
}

/// Where the supervisor publishes an actor, anew after each restart.
pub(super) type Published<M> = watch::Sender<Option<ActorRef<M>>>;

/// Asks one supervised actor. Clones share its bound.
pub(super) struct Handle<M: Message> {
    actor: watch::Receiver<Option<ActorRef<M>>>,
    permits: Arc<Semaphore>,
}

impl<M: Message> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            actor: self.actor.clone(),
            permits: Arc::clone(&self.permits),
        }
    }
}

/// One request on its way: the payload, its deadline, and where the answer goes. Dropping it
/// tells the caller at once that there is no answer.
pub(super) struct Call<Q, A> {
    pub(super) request: Q,
    pub(super) deadline: Instant,
    answer: oneshot::Sender<A>,
    permit: OwnedSemaphorePermit,
}

/// What is still to be done for a call that was answered: a server does not stop before.
pub(super) struct Unfinished(
    #[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit,
);

impl<Q, A> Call<Q, A> {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_stale(&self) -> bool {
        self.answer.is_closed() || self.deadline <= Instant::now()
    }

    /// Sends the answer; a caller that left is no error.
    pub(super) fn answer(self, answer: A) {
        let _caller_left = self.answer.send(answer);
    }

    /// As [`Call::answer`], but the call counts as in flight until what is returned is dropped.
    pub(super) fn answer_first(self, answer: A) -> Unfinished {
        let _caller_left = self.answer.send(answer);
        Unfinished(self.permit)
    }
}

impl<M: Message> Handle<M> {
    /// A handle with room for `bound` calls in flight, and the place to publish the actor.
    pub(super) fn new(bound: usize) -> (Self, Published<M>) {
        let (published, actor) = watch::channel(None);
        (
            Self {
                actor,
                permits: Arc::new(Semaphore::new(bound)),
            },
            published,
        )
    }

    /// A handle to the same actor with a bound of its own, for calls that must not be shed because
    /// of the others.
    pub(super) fn beside(&self, bound: usize) -> Self {
        Self {
            actor: self.actor.clone(),
            permits: Arc::new(Semaphore::new(bound)),
        }
    }

    /// The count of calls in flight, for the live picture: the bound less these permits.
    pub(super) fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.permits)
    }

    /// Sends one request and waits for its answer, at most until `deadline`.
    ///
    /// # Errors
    /// [`AskError`]; only with `Overloaded` is it certain that nothing was begun.
    pub(super) async fn ask<Q, A>(
        &self,
        request: Q,
        deadline: Instant,
        message: impl FnOnce(Call<Q, A>) -> M,
    ) -> Result<A, AskError> {
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_full| AskError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let call = Call {
            request,
            deadline,
            answer,
            permit,
        };
        let actor = self.actor.borrow().clone().ok_or(AskError::Gone)?;
        actor.cast(message(call)).map_err(|_dead| AskError::Gone)?;
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(AskError::Gone),
            Err(_elapsed) => Err(AskError::Timeout),
        }
    }

    /// Waits until the actor is there again, at most until `deadline`.
    pub(super) async fn wait_for_restart(&self, deadline: Instant) {
        let mut actor = self.actor.clone();
        let is_up = actor.wait_for(|found| {
            found
                .as_ref()
                .is_some_and(|actor| actor.get_status() <= ractor::ActorStatus::Running)
        });
        let _late = tokio::time::timeout_at(deadline, is_up).await;
    }
}

/// The deadline of a call that begins now.
pub(super) fn within(budget: Duration) -> Instant {
    Instant::now() + budget
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_answered_first_is_in_flight_until_the_rest_is_done() {
        let permits = Arc::new(Semaphore::new(1));
        let (answer, mut answered) = oneshot::channel();
        let call = Call {
            request: (),
            deadline: Instant::now(),
            answer,
            permit: Arc::clone(&permits).try_acquire_owned().unwrap(),
        };
        let rest = call.answer_first("found");
        assert_eq!(answered.try_recv(), Ok("found"));
        assert_eq!(permits.available_permits(), 0);
        drop(rest);
        assert_eq!(permits.available_permits(), 1);
    }
}

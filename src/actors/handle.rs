//! Typed handles to supervised actors. A handle survives restarts, bounds what is in flight
//! before the mailbox (mailboxes are not bounded by themselves), and gives each call a deadline.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::Counter;
use ractor::{ActorId, ActorRef, Message};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use crate::telemetry::metrics::{ACTOR_CALLS_SHED, ACTOR_CALLS_SKIPPED};

/// From an actor's dropping what it was asked to its being seen as dead, at most.
const DYING: Duration = Duration::from_millis(20);

/// Why an actor gave no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AskError {
    /// More is in flight than the actor's bound. Nothing was begun.
    #[error("the actor has too much in flight")]
    Overloaded,
    /// The actor is down or died before the call came up. Whether a write happened is unknown.
    #[error("the actor is not there")]
    Gone,
    /// The actor panicked at this very call, or at one that shared a round trip with it. It must
    /// not be asked again: that could kill it again. Whether a write happened is unknown.
    #[error("the actor panicked")]
    Panicked,
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
    counts: Arc<Counts>,
    lanes: Lanes,
}

/// What is counted of an actor's calls, once the actor has a name.
#[derive(Default)]
struct Counts(OnceLock<Named>);

struct Named {
    shed: Counter,
    skipped: Counter,
}

impl<M: Message> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            actor: self.actor.clone(),
            permits: Arc::clone(&self.permits),
            counts: Arc::clone(&self.counts),
            lanes: self.lanes.clone(),
        }
    }
}

/// One request on its way: the payload, its deadline, and where the answer goes. Dropping it
/// tells the caller at once that there is no answer.
pub(super) struct Call<Q, A> {
    pub(super) request: Q,
    pub(super) deadline: Instant,
    caller: Caller<A>,
    counts: Arc<Counts>,
    _permit: OwnedSemaphorePermit,
}

/// Who waits for an answer. Dropped by a panic, it says so.
struct Caller<A>(Option<oneshot::Sender<Result<A, AskError>>>);

impl<A> Drop for Caller<A> {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take()
            && std::thread::panicking()
        {
            let _caller_left = sender.send(Err(AskError::Panicked));
        }
    }
}

impl<Q, A> Call<Q, A> {
    /// Whether somebody waits for the answer.
    pub(super) fn is_awaited(&self) -> bool {
        let caller = self.caller.0.as_ref();
        caller.is_some_and(|caller| !caller.is_closed()) && Instant::now() < self.deadline
    }

    /// Whether nobody waits for the answer any more. Then it is to be dropped unbegun.
    pub(super) fn is_stale(&self) -> bool {
        let is_stale = !self.is_awaited();
        if is_stale && let Some(named) = self.counts.0.get() {
            named.skipped.increment(1);
        }
        is_stale
    }

    /// Sends an answer that refuses the call unbegun, and counts it.
    pub(super) fn shed(self, answer: A) {
        if let Some(named) = self.counts.0.get() {
            named.shed.increment(1);
        }
        self.answer(answer);
    }

    /// Sends the answer; a caller that left is no error. Tells whether it was still there to take
    /// it.
    pub(super) fn answer(mut self, answer: A) -> bool {
        let sender = self.caller.0.take();
        sender.is_some_and(|sender| sender.send(Ok(answer)).is_ok())
    }
}

impl<M: Message> Handle<M> {
    /// A handle with room for `bound` calls in flight, and the place to publish the actor.
    pub(super) fn new(bound: usize) -> (Self, Published<M>) {
        let (published, actor) = watch::channel(None);
        let lanes = Lanes::default();
        (
            Self {
                actor,
                permits: lanes.open(bound),
                counts: Arc::default(),
                lanes,
            },
            published,
        )
    }

    /// A handle to the same actor with a bound of its own, for calls that must not be shed because
    /// of the others.
    pub(super) fn beside(&self, bound: usize) -> Self {
        Self {
            actor: self.actor.clone(),
            permits: self.lanes.open(bound),
            counts: Arc::clone(&self.counts),
            lanes: self.lanes.clone(),
        }
    }

    /// All lanes to the actor, of this handle and of those beside it.
    pub(super) fn lanes(&self) -> Lanes {
        self.lanes.clone()
    }

    /// Counts from now on what is shed and what is skipped, under the actor's name.
    pub(super) fn count_as(&self, name: &str) {
        let counter = |metric| metrics::counter!(metric, "actor" => name.to_owned());
        self.counts.0.get_or_init(|| Named {
            shed: counter(ACTOR_CALLS_SHED),
            skipped: counter(ACTOR_CALLS_SKIPPED),
        });
    }

    /// Sends one request and waits for its answer, at most until `deadline`. There is no `message`
    /// where the call goes with one that was sent before.
    ///
    /// # Errors
    /// [`AskError`]; only with `Overloaded` is it certain that nothing was begun, and only after
    /// `Gone` may the same be asked again.
    pub(super) async fn ask<Q, A, T: Into<Option<M>>>(
        &self,
        request: Q,
        deadline: Instant,
        message: impl FnOnce(Call<Q, A>) -> T,
    ) -> Result<A, AskError> {
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_full| self.shed())?;
        let (sender, answered) = oneshot::channel();
        let call = Call {
            request,
            deadline,
            caller: Caller(Some(sender)),
            counts: Arc::clone(&self.counts),
            _permit: permit,
        };
        if let Some(message) = message(call).into() {
            self.send(message)?;
        }
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_dropped)) => Err(AskError::Gone),
            Err(_elapsed) => Err(AskError::Timeout),
        }
    }

    fn send(&self, message: M) -> Result<(), AskError> {
        let actor = self.actor.borrow();
        let actor = actor.as_ref().ok_or(AskError::Gone)?;
        actor.cast(message).map_err(|_dead| AskError::Gone)
    }

    /// Counts a call that is refused unbegun.
    pub(super) fn shed(&self) -> AskError {
        if let Some(named) = self.counts.0.get() {
            named.shed.increment(1);
        }
        AskError::Overloaded
    }

    /// Tells the actor something that nobody waits for. One that is down forgets all anyway.
    pub(super) fn tell(&self, message: M) {
        let _died_just_now = self.send(message);
    }

    /// The actor that is asked now, to tell it from its successor.
    pub(super) fn asked(&self) -> Option<ActorId> {
        self.actor.borrow().as_ref().map(|actor| actor.get_id())
    }

    /// Waits until there is a successor of `earlier`, at most until `deadline`. One that dies drops
    /// what it was asked a moment before it is seen to be dead, so that its state tells nothing at first;
    /// if it is alive after that moment, it was another that dropped the call.
    pub(super) async fn wait_for_successor(&self, earlier: Option<ActorId>, deadline: Instant) {
        let mut actor = self.actor.clone();
        let is_other = |found: &Option<ActorRef<M>>| {
            found
                .as_ref()
                .is_some_and(|actor| Some(actor.get_id()) != earlier)
        };
        let moment = deadline.min(within(DYING));
        let other = tokio::time::timeout_at(moment, actor.wait_for(is_other));
        let has_come = other.await.is_ok();
        if !has_come {
            let is_up = actor.wait_for(|found| {
                found
                    .as_ref()
                    .is_some_and(|actor| actor.get_status() <= ractor::ActorStatus::Running)
            });
            let _late = tokio::time::timeout_at(deadline, is_up).await;
        }
    }
}

/// The lanes to one actor: what is in flight in each, and how much may be.
#[derive(Clone, Default)]
pub(super) struct Lanes(Arc<Mutex<Vec<Lane>>>);

#[derive(Clone)]
struct Lane {
    bound: usize,
    permits: Arc<Semaphore>,
}

impl Lanes {
    fn open(&self, bound: usize) -> Arc<Semaphore> {
        let permits = Arc::new(Semaphore::new(bound));
        let lane = Lane {
            bound,
            permits: Arc::clone(&permits),
        };
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.push(lane);
        permits
    }

    /// Calls in the mailbox or in the air.
    pub(super) fn in_flight(&self) -> usize {
        let lanes = self.all();
        let own = |lane: &Lane| lane.bound.saturating_sub(lane.permits.available_permits());
        lanes.iter().map(own).sum()
    }

    /// Most calls that are taken before the actor sheds.
    pub(super) fn bound(&self) -> usize {
        self.all().iter().map(|lane| lane.bound).sum()
    }

    /// Waits until no call is in flight.
    pub(super) async fn idle(&self) {
        for lane in self.all() {
            let all = u32::try_from(lane.bound).unwrap_or(u32::MAX);
            let _never_closed = lane.permits.acquire_many(all).await;
        }
    }

    fn all(&self) -> Vec<Lane> {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.clone()
    }
}

/// The deadline of a call that begins now.
pub(super) fn within(budget: Duration) -> Instant {
    Instant::now() + budget
}

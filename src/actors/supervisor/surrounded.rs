//! An actor as the supervisor runs it: what it launches belongs to its tree, and a test may make it
//! panic.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};
use tokio::sync::mpsc;

use super::faults::{Faults, Moment};

tokio::task_local! {
    static SURROUNDINGS: Surroundings;
}

/// What a message asks for, in a word.
pub(in crate::actors) trait Kind {
    fn kind(&self) -> &'static str;
}

/// What surrounds an actor while it handles a message.
#[derive(Clone)]
pub(in crate::actors) struct Surroundings(Arc<Inner>);

struct Inner {
    /// Open as long as the actor or a flight of its is there.
    _tree: mpsc::Sender<Infallible>,
    faults: Faults,
}

impl Surroundings {
    /// Surroundings in the tree that has the other end of this channel.
    pub(super) fn new(tree: mpsc::Sender<Infallible>, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            _tree: tree,
            faults,
        }))
    }

    /// Those of the actor that is handling a message now. A flight keeps them until it has landed.
    pub(in crate::actors) fn current() -> Option<Self> {
        SURROUNDINGS.try_with(Self::clone).ok()
    }

    /// The panics that are planned.
    pub(in crate::actors) fn faults(&self) -> &Faults {
        &self.0.faults
    }
}

/// An actor within its surroundings.
pub(super) struct Surrounded<A> {
    actor: A,
    surroundings: Surroundings,
}

impl<A> Surrounded<A> {
    pub(super) fn new(actor: A, surroundings: Surroundings) -> Self {
        Self {
            actor,
            surroundings,
        }
    }
}

impl<A> Actor for Surrounded<A>
where
    A: Actor + Sync,
    A::Msg: Message + Kind,
{
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<A::Msg>,
        arguments: A::Arguments,
    ) -> Result<A::State, ActorProcessingErr> {
        self.actor.pre_start(myself, arguments).await
    }

    async fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        message: A::Msg,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        let kind = cfg!(debug_assertions).then(|| message.kind());
        let faults = self.surroundings.faults();
        let handled = async {
            if let Some(kind) = kind {
                faults.strike(Moment::Before(kind));
            }
            self.actor.handle(myself, message, state).await?;
            if let Some(kind) = kind {
                faults.strike(Moment::After(kind));
            }
            Ok(())
        };
        let handled = SURROUNDINGS.scope(self.surroundings.clone(), handled);
        // Caught here, the panic drops this message and no other: those that wait in the mailbox
        // go with the actor, which tells their callers something else.
        match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(handled) => handled,
            Err(_panic) => Err("it panicked".into()),
        }
    }
}

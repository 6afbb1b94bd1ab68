//! `Supervisor` guards the tree: it starts the actors in dependency order and starts again what
//! fails, with growing delay. Shape: sequencer, no I/O of its own. It answers nobody, so it has no
//! deadline; when it dies, or an actor's restart budget is spent, [`Tree::failed`] tells the
//! process to end.

pub mod faults;
pub mod picture;

pub(super) mod surrounded;

mod actor;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorRef, Message, SpawnErr};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::actors::handle::{Handle, Published};
use actor::{SupervisorActor, SupervisorArguments, SupervisorMessage};
use faults::{Faults, Moment, PlannedPanic};
use picture::{ChildStatus, Picture};
use surrounded::{Kind, Surrounded, Surroundings};

type Starting = BoxFuture<'static, Result<ActorCell, SpawnErr>>;

/// How one actor is started, and how it is seen from outside.
pub struct Child {
    name: String,
    status: Arc<ChildStatus>,
    start: Box<dyn Fn(ActorCell, mpsc::Sender<Infallible>) -> Starting + Send + Sync>,
    faults: Faults,
}

/// The running tree.
pub struct Tree {
    supervisor: ActorRef<SupervisorMessage>,
    ended: JoinHandle<()>,
    failed: watch::Receiver<Option<String>>,
    picture: Picture,
    faults: Vec<(String, Faults)>,
    /// Ends when all actors are gone and all that they launched has landed.
    landed: mpsc::Receiver<Infallible>,
}

impl Child {
    /// An actor that is started with a clone of `arguments` each time and published to its
    /// handle. `actor` is a unit struct: all state is built in `pre_start`.
    pub(super) fn new<A>(
        name: impl Into<String>,
        (actor, arguments): (A, A::Arguments),
        (handle, published): (&Handle<A::Msg>, Published<A::Msg>),
    ) -> Self
    where
        A: Actor + Clone + Sync,
        A::Arguments: Clone + Sync,
        A::Msg: Message + Kind,
    {
        let name = name.into();
        handle.count_as(&name);
        let published = Arc::new(published);
        let faults = Faults::default();
        let planned = faults.clone();
        Self {
            name,
            status: Arc::new(ChildStatus::new(handle.lanes())),
            start: Box::new(move |supervisor, tree| {
                let surroundings = Surroundings::new(tree, planned.clone());
                let actor = Surrounded::new(actor.clone(), surroundings);
                let arguments = arguments.clone();
                let published = Arc::clone(&published);
                Box::pin(async move {
                    let (actor, _ended) =
                        Actor::spawn_linked(None, actor, arguments, supervisor).await?;
                    let cell = actor.get_cell();
                    published.send_replace(Some(actor));
                    Ok(cell)
                })
            }),
            faults,
        }
    }
}

impl Tree {
    /// Starts `children` in their order under a new supervisor.
    ///
    /// # Errors
    /// The first child's failure to start.
    pub async fn start(children: Vec<Child>, picture: Picture) -> Result<Self, SpawnErr> {
        let named = |child: &Child| (child.name.clone(), Arc::clone(&child.status));
        picture.fill(children.iter().map(named).collect());
        let faults = |child: &Child| (child.name.clone(), child.faults.clone());
        let faults = children.iter().map(faults).collect();
        let (report, failed) = watch::channel(None);
        let (tree, landed) = mpsc::channel(1);
        let arguments = SupervisorArguments {
            children,
            report,
            tree,
        };
        let (supervisor, ended) = Actor::spawn(None, SupervisorActor, arguments).await?;
        Ok(Self {
            supervisor,
            ended,
            failed,
            picture,
            faults,
            landed,
        })
    }

    /// The live picture of the tree.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Ends when an actor's restart budget is spent or the supervisor itself is gone; tells why.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut failed = self.failed.clone();
        async move {
            match failed.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_supervisor_gone) => "the supervisor ended".to_owned(),
            }
        }
    }

    /// Lets the actor of this name panic the next `times` that a moment comes; `None` when there is
    /// no such actor. For tests of supervision; a release build never does it.
    pub fn plan_panic(&self, name: &str, moment: Moment, times: usize) -> Option<PlannedPanic> {
        let found = self.faults.iter().find(|(own, _)| own == name);
        found.map(|(_, faults)| faults.plan(moment, times))
    }

    /// Stops the tree: waits until every call in flight is answered, stops each actor after the
    /// message it is at, then waits until all that they launched has landed: what is put back into
    /// Redis is put back whole. Takes at most `limit`.
    pub async fn stop(mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let _late = timeout_at(deadline, self.picture.idle()).await;
        let _already_stopped = self.supervisor.cast(SupervisorMessage::Stop);
        let _late = timeout_at(deadline, &mut self.ended).await;
        if timeout_at(deadline, self.landed.recv()).await.is_err() {
            tracing::warn!("a round trip to a store was cut: it took too long to wait for");
        }
    }
}

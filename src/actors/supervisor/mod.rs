//! `Supervisor` guards the tree: it starts the actors in dependency order and starts again what
//! fails, with growing delay. Shape: sequencer, no I/O of its own. It answers nobody, so it has no
//! deadline; when it dies, or an actor's restart budget is spent, [`Tree::failed`] tells the
//! process to end.

pub mod picture;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, Message, SpawnErr, SupervisionEvent,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::actors::handle::{Handle, Published};
use crate::actors::restart_policy::RestartPolicy;
use crate::telemetry::metrics::ACTOR_RESTARTS;
use picture::{ChildStatus, Picture};

/// A message that makes its actor panic, for the tests of supervision.
pub(super) trait Fault {
    fn fault() -> Self;
}

/// How one actor is started, and how it is seen from outside.
pub struct Child {
    name: String,
    status: Arc<ChildStatus>,
    start: Box<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>,
    fault: Box<dyn Fn() + Send + Sync>,
}

/// The running tree.
pub struct Tree {
    supervisor: ActorRef<SupervisorMessage>,
    ended: JoinHandle<()>,
    failed: watch::Receiver<Option<String>>,
    picture: Picture,
    faults: Vec<(String, Box<dyn Fn() + Send + Sync>)>,
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
        A::Msg: Message + Fault,
    {
        let permits = handle.permits();
        let published = Arc::new(published);
        let to_fault = Arc::clone(&published);
        Self {
            name: name.into(),
            status: Arc::new(ChildStatus::new(permits)),
            start: Box::new(move |supervisor| {
                let (actor, arguments) = (actor.clone(), arguments.clone());
                let published = Arc::clone(&published);
                Box::pin(async move {
                    let (actor, _ended) =
                        Actor::spawn_linked(None, actor, arguments, supervisor).await?;
                    let cell = actor.get_cell();
                    published.send_replace(Some(actor));
                    Ok(cell)
                })
            }),
            fault: Box::new(move || {
                if let Some(actor) = to_fault.borrow().as_ref() {
                    let _already_dead = actor.cast(A::Msg::fault());
                }
            }),
        }
    }
}

impl Tree {
    /// Starts `children` in their order under a new supervisor.
    ///
    /// # Errors
    /// The first child's failure to start.
    pub async fn start(mut children: Vec<Child>, picture: Picture) -> Result<Self, SpawnErr> {
        let named = |child: &Child| (child.name.clone(), Arc::clone(&child.status));
        picture.fill(children.iter().map(named).collect());
        let no_fault = || Box::new(|| {}) as Box<dyn Fn() + Send + Sync>;
        let take_fault = |child: &mut Child| {
            (
                child.name.clone(),
                std::mem::replace(&mut child.fault, no_fault()),
            )
        };
        let faults = children.iter_mut().map(take_fault).collect();
        let (report, failed) = watch::channel(None);
        let arguments = SupervisorArguments { children, report };
        let (supervisor, ended) = Actor::spawn(None, SupervisorActor, arguments).await?;
        Ok(Self {
            supervisor,
            ended,
            failed,
            picture,
            faults,
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

    /// Makes the actor of this name panic at its next message. For tests of supervision.
    pub fn panic_actor(&self, name: &str) {
        self.faults
            .iter()
            .filter(|(own, _)| own == name)
            .for_each(|(_, fault)| fault());
    }

    /// Stops the tree: waits until every call in flight is answered and what it left to be written
    /// is written, then stops each actor after the message it is at. Takes at most `limit`.
    pub async fn stop(mut self, limit: Duration) {
        let end = Instant::now() + limit;
        // What is in flight may take most of it: an actor is not long at one message.
        let _late = tokio::time::timeout(limit * 4 / 5, self.picture.idle()).await;
        let _already_stopped = self.supervisor.cast(SupervisorMessage::Stop);
        let _late = tokio::time::timeout_at(end, &mut self.ended).await;
    }
}

enum SupervisorMessage {
    Restart(usize),
    Stop,
}

#[derive(Clone)]
struct SupervisorActor;

struct SupervisorArguments {
    children: Vec<Child>,
    report: watch::Sender<Option<String>>,
}

struct State {
    children: Vec<Supervised>,
    report: watch::Sender<Option<String>>,
}

struct Supervised {
    child: Child,
    running: Option<ActorId>,
    policy: RestartPolicy,
}

impl Actor for SupervisorActor {
    type Msg = SupervisorMessage;
    type State = State;
    type Arguments = SupervisorArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut children = Vec::new();
        for child in arguments.children {
            let cell = (child.start)(myself.get_cell()).await?;
            child.status.note_up();
            let running = Some(cell.get_id());
            children.push(Supervised {
                child,
                running,
                policy: RestartPolicy::default(),
            });
        }
        Ok(State {
            children,
            report: arguments.report,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Restart(index) => state.restart(index, &myself).await,
            SupervisorMessage::Stop => myself.stop(None),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                state.note_failure(&cell, &error.to_string(), &myself);
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                state.note_failure(&cell, reason.as_deref().unwrap_or("stopped"), &myself);
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    fn note_failure(
        &mut self,
        cell: &ActorCell,
        reason: &str,
        myself: &ActorRef<SupervisorMessage>,
    ) {
        let failed = Some(cell.get_id());
        if let Some(index) = self
            .children
            .iter()
            .position(|child| child.running == failed)
        {
            self.plan_restart(index, reason, myself);
        }
    }

    fn plan_restart(&mut self, index: usize, reason: &str, myself: &ActorRef<SupervisorMessage>) {
        let Some(supervised) = self.children.get_mut(index) else {
            return;
        };
        supervised.running = None;
        supervised.child.status.note_down();
        let name = &supervised.child.name;
        let Some(delay) = supervised.policy.next_delay(Instant::now()) else {
            let why = format!("actor {name} failed more than 5 times in 10 s: {reason}");
            self.report.send_replace(Some(why));
            return;
        };
        tracing::error!(actor.name = %name, error = %reason, "an actor failed and is restarted");
        if delay.is_zero() {
            let _stopping = myself.cast(SupervisorMessage::Restart(index));
        } else {
            myself.send_after(delay, move || SupervisorMessage::Restart(index));
        }
    }

    async fn restart(&mut self, index: usize, myself: &ActorRef<SupervisorMessage>) {
        let Some(supervised) = self.children.get_mut(index) else {
            return;
        };
        match (supervised.child.start)(myself.get_cell()).await {
            Ok(cell) => {
                supervised.running = Some(cell.get_id());
                supervised.child.status.note_restart();
                metrics::counter!(ACTOR_RESTARTS, "actor" => supervised.child.name.clone())
                    .increment(1);
            }
            Err(error) => self.plan_restart(index, &error.to_string(), myself),
        }
    }
}

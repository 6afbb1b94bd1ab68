//! The supervisor itself: it starts its children and starts again what fails.

use std::convert::Infallible;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Child;
use crate::actors::restart_policy::RestartPolicy;
use crate::telemetry::metrics::ACTOR_RESTARTS;

pub(super) enum SupervisorMessage {
    Restart(usize),
    Stop,
}

#[derive(Clone)]
pub(super) struct SupervisorActor;

pub(super) struct SupervisorArguments {
    pub(super) children: Vec<Child>,
    pub(super) report: watch::Sender<Option<String>>,
    pub(super) tree: mpsc::Sender<Infallible>,
}

pub(super) struct State {
    tree: mpsc::Sender<Infallible>,
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
            let cell = (child.start)(myself.get_cell(), arguments.tree.clone()).await?;
            child.status.note_up();
            let running = Some(cell.get_id());
            children.push(Supervised {
                child,
                running,
                policy: RestartPolicy::default(),
            });
        }
        Ok(State {
            tree: arguments.tree,
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
        match (supervised.child.start)(myself.get_cell(), self.tree.clone()).await {
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

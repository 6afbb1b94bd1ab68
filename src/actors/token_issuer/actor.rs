//! The actor of the token issuer: collects jobs while rounds are in the air.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::departures::Departures;
use super::flight::Flight;
use super::job::Job;
use crate::actors::batch::{Landed, launch};
use crate::actors::supervisor::surrounded::Kind;

/// For how long jobs wait for company.
const PATIENCE: Duration = Duration::from_millis(20);

pub(super) enum TokenIssuerMessage {
    Job(Job),
    /// The timer of this number has run out.
    Impatient(u64),
    /// With how many jobs it had left.
    Landed(Landed<usize>),
    Settled(Landed<()>),
}

impl Kind for TokenIssuerMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Job(Job::Issue(_)) => "issue",
            Self::Job(Job::Rotate(_)) => "rotate",
            Self::Job(Job::Revoke(_)) => "revoke",
            Self::Job(Job::Inspect(_)) => "inspect",
            Self::Job(Job::EndFamilies(_)) => "end_families",
            Self::Impatient(_) => "impatient",
            Self::Landed(_) => "landed",
            Self::Settled(_) => "settled",
        }
    }
}

#[derive(Clone)]
pub(super) struct TokenIssuerActor;

pub(super) struct State {
    flight: Flight,
    waiting: Vec<Job>,
    departures: Departures,
}

impl Actor for TokenIssuerActor {
    type Msg = TokenIssuerMessage;
    type State = State;
    type Arguments = Flight;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        flight: Flight,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State {
            flight,
            waiting: Vec::new(),
            departures: Departures::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TokenIssuerMessage::Job(job) => state.waiting.push(job),
            TokenIssuerMessage::Impatient(timer) => state.departures.end_timer(timer),
            TokenIssuerMessage::Landed(landed) => state.departures.land(landed.outcome()?),
            TokenIssuerMessage::Settled(settled) => settled.outcome()?,
        }
        while let Some(jobs) = state.departures.leave(state.waiting.len()) {
            let round = state.waiting.drain(..jobs).collect();
            state.take_off(round, &myself);
        }
        if let Some(timer) = state.departures.start_timer(state.waiting.len()) {
            myself.send_after(PATIENCE, move || TokenIssuerMessage::Impatient(timer));
        }
        Ok(())
    }
}

impl State {
    fn take_off(&self, jobs: Vec<Job>, myself: &ActorRef<TokenIssuerMessage>) {
        let (flight, truth) = (self.flight.clone(), self.flight.truth.clone());
        let notes = self.flight.notes.clone();
        let (settlement, settled) = oneshot::channel();
        let count = jobs.len();
        let round = async move {
            let _nobody_waits_after_a_panic = settlement.send(flight.run(jobs).await);
            count
        };
        launch(myself.clone(), round, TokenIssuerMessage::Landed);
        // Beside the next round, which does not wait for it. Few are in the air: what has ends to
        // note has just been written by the same store.
        let note = async move {
            if let Ok(settlement) = settled.await {
                notes.note(settlement, &truth).await;
            }
        };
        launch(myself.clone(), note, TokenIssuerMessage::Settled);
    }
}

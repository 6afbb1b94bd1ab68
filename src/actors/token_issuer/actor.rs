//! The actor of the token issuer: collects jobs while a round is in the air.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::flight::Flight;
use super::job::Job;
use crate::actors::batch::{Batch, Landed, launch};
use crate::actors::supervisor::surrounded::Kind;

/// Rounds in the air at a time: while the truth writes one, the next is read and decided. That two
/// may want the same is no other case than that two servers do.
const FLIGHTS: usize = 2;

pub(super) enum TokenIssuerMessage {
    Job(Job),
    Landed(Landed<()>),
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
            Self::Landed(_) => "landed",
            Self::Settled(_) => "settled",
        }
    }
}

#[derive(Clone)]
pub(super) struct TokenIssuerActor;

pub(super) struct State {
    flight: Flight,
    jobs: Batch<Job>,
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
            jobs: Batch::of_flights(FLIGHTS),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TokenIssuerMessage::Job(job) => state.jobs.push(job),
            TokenIssuerMessage::Landed(landed) => state.jobs.land(landed)?,
            TokenIssuerMessage::Settled(settled) => settled.outcome()?,
        }
        state.take_off(myself);
        Ok(())
    }
}

impl State {
    fn take_off(&mut self, myself: ActorRef<TokenIssuerMessage>) {
        let Some(jobs) = self.jobs.take_off(usize::MAX) else {
            return;
        };
        let (flight, truth) = (self.flight.clone(), self.flight.truth.clone());
        let notes = self.flight.notes.clone();
        let (settlement, settled) = oneshot::channel();
        let round = async move {
            let _nobody_waits_after_a_panic = settlement.send(flight.run(jobs).await);
        };
        launch(myself.clone(), round, TokenIssuerMessage::Landed);
        // Beside the next round, which does not wait for it. Few are in the air: what has ends to
        // note has just been written by the same store.
        let note = async move {
            if let Ok(settlement) = settled.await {
                notes.note(settlement, &truth).await;
            }
        };
        launch(myself, note, TokenIssuerMessage::Settled);
    }
}

//! The actor of the token issuer: collects jobs while rounds are in the air.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::flight::Flight;
use super::job::Job;
use crate::actors::batch::{Batch, Landed, launch};
use crate::actors::supervisor::surrounded::Kind;

/// Rounds in the air at a time: while the truth writes one, the next is read and decided. That two
/// may want the same is no other case than that two servers do.
const FLIGHTS: usize = 4;
/// Most jobs of a round. MongoDB does the writes of one command one after the other: all that wait in
/// one round would leave it, and us, with one thing to do.
const MOST_JOBS: usize = 128;
/// How many jobs a round carries, for each that is in the air, to leave beside these: it costs six
/// commands whatever it carries. Alone it leaves with what there is.
const COMPANY: usize = 24;
/// For how long fewer jobs wait for company, or for a round to land; those that came while the time ran
/// for others wait up to twice as long.
const PATIENCE: Duration = Duration::from_millis(20);

pub(super) enum TokenIssuerMessage {
    Job(Job),
    /// What waited for company when so many rounds had left has waited long enough.
    Impatient(u64),
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
    jobs: Batch<Job>,
    /// How many rounds have left.
    departures: u64,
    /// Whether [`TokenIssuerMessage::Impatient`] is on its way.
    is_timed: bool,
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
            departures: 0,
            is_timed: false,
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
            TokenIssuerMessage::Impatient(departures) => {
                state.is_timed = false;
                // Else it was for jobs that have left.
                if departures == state.departures {
                    state.take_off(&myself);
                }
            }
            TokenIssuerMessage::Landed(landed) => state.jobs.land(landed)?,
            TokenIssuerMessage::Settled(settled) => settled.outcome()?,
        }
        state.take_off_in_company(&myself);
        Ok(())
    }
}

impl State {
    fn take_off_in_company(&mut self, myself: &ActorRef<TokenIssuerMessage>) {
        while self.jobs.is_worth_a_flight(COMPANY) {
            if !self.take_off(myself) {
                return;
            }
        }
        if self.jobs.waiting() > 0 && !self.is_timed {
            self.is_timed = true;
            let departures = self.departures;
            myself.send_after(PATIENCE, move || TokenIssuerMessage::Impatient(departures));
        }
    }

    // Tells whether a round left.
    fn take_off(&mut self, myself: &ActorRef<TokenIssuerMessage>) -> bool {
        let Some(jobs) = self.jobs.take_off(MOST_JOBS) else {
            return false;
        };
        self.departures += 1;
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
        launch(myself.clone(), note, TokenIssuerMessage::Settled);
        true
    }
}

//! The actor of the throttle: which attempts wait to be counted, and which ends to be noted.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::attempt::Attempt;
use super::counter::Counter;
use super::error::ThrottleError;
use super::flight::{Flight, settle, settle_late};
use crate::actors::batch::{Batch, COMPANY, Gathering, Haste, Landed, launch};
use crate::actors::handle::Call;
use crate::actors::supervisor::surrounded::Kind;
use crate::domain::attempt::{AttemptOutcome, Reservation};

/// Most attempts of one round trip, so that a flood of them never keeps refreshes and revocations
/// waiting for a connection.
const PER_FLIGHT: usize = 32;
/// Most ends that wait to be noted. What is beyond counts as failed.
const MOST_ENDS: usize = 16_384;

/// An attempt that is to be counted.
pub(super) type Asked = Call<Request, Result<Attempt, ThrottleError>>;

/// By what an attempt is to be counted.
pub(super) struct Request {
    pub(super) counters: Vec<Counter>,
    pub(super) haste: Haste,
}

pub(super) enum ThrottleMessage {
    Reserve(Asked),
    ReserveDue,
    Settle(Vec<(Reservation, AttemptOutcome)>, Haste),
    Landed(Landed<()>),
    Settled(Landed<()>),
    LateSettled(Landed<()>),
}

impl Kind for ThrottleMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Reserve(_) => "reserve",
            Self::ReserveDue => "reserve_due",
            Self::Settle(..) => "settle",
            Self::Landed(_) => "landed",
            Self::Settled(_) => "settled",
            Self::LateSettled(_) => "late_settled",
        }
    }
}

#[derive(Clone)]
pub(super) struct ThrottleActor;

pub(super) struct State {
    flight: Flight,
    asked: Batch<Asked>,
    ended: Batch<(Reservation, AttemptOutcome)>,
    /// What need not be noted at once.
    late: Gathering<(Reservation, AttemptOutcome)>,
}

impl Actor for ThrottleActor {
    type Msg = ThrottleMessage;
    type State = State;
    type Arguments = Flight;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        flight: Flight,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State {
            flight,
            asked: Batch::new(),
            ended: Batch::new(),
            late: Gathering::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ThrottleMessage::Reserve(call) => {
                let remind = || drop(myself.send_after(COMPANY, || ThrottleMessage::ReserveDue));
                let haste = call.request.haste;
                state.asked.push_with(haste, call, remind);
            }
            ThrottleMessage::ReserveDue => state.asked.be_due(),
            ThrottleMessage::Settle(ended, haste) => state.note(ended, haste, &myself),
            ThrottleMessage::LateSettled(settled) => settled.outcome()?,
            ThrottleMessage::Landed(landed) => state.asked.land(landed)?,
            ThrottleMessage::Settled(settled) => state.ended.land(settled)?,
        }
        state.take_off(&myself);
        Ok(())
    }
}

impl State {
    fn note(
        &mut self,
        ended: Vec<(Reservation, AttemptOutcome)>,
        haste: Haste,
        myself: &ActorRef<ThrottleMessage>,
    ) {
        if haste == Haste::AtOnce && self.ended.waiting() < MOST_ENDS {
            for end in ended {
                self.ended.push(end);
            }
        } else if haste == Haste::InCompany {
            for end in ended {
                // In a flight that waits, since the end of the tree waits for flights.
                if let Some(gathered) = self.late.push(end) {
                    let flight = settle_late(Arc::clone(&self.flight.store), gathered);
                    launch(myself.clone(), flight, ThrottleMessage::LateSettled);
                }
            }
        }
    }

    fn take_off(&mut self, myself: &ActorRef<ThrottleMessage>) {
        if let Some(asked) = self.asked.take_off(PER_FLIGHT) {
            let flight = self.flight.clone().reserve(asked, myself.clone());
            launch(myself.clone(), flight, ThrottleMessage::Landed);
        }
        if let Some(ended) = self.ended.take_off(PER_FLIGHT) {
            let flight = settle(Arc::clone(&self.flight.store), ended);
            launch(myself.clone(), flight, ThrottleMessage::Settled);
        }
    }
}

//! The actor: it remembers which console credentials were found good.

use std::collections::VecDeque;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::actors::handle::Call;
use crate::actors::supervisor::surrounded::Kind;
use crate::crypto::secret;

/// Most credentials that are remembered, each for one network. The oldest go first.
const REMEMBERED: usize = 16;

/// What the actor is told.
pub(super) enum ManagementMessage {
    IsVerified(Call<[u8; 32], bool>),
    Verified(Call<[u8; 32], ()>),
}

impl Kind for ManagementMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::IsVerified(_) => "is_verified",
            Self::Verified(_) => "verified",
        }
    }
}

#[derive(Clone)]
pub(super) struct ManagementActor;

/// The digests of the credentials that were last found good.
#[derive(Default)]
pub(super) struct State {
    verified: VecDeque<[u8; 32]>,
}

impl Actor for ManagementActor {
    type Msg = ManagementMessage;
    type State = State;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<State, ActorProcessingErr> {
        Ok(State::default())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ManagementMessage::IsVerified(call) => state.is_verified(call),
            ManagementMessage::Verified(call) => state.remember(call),
        }
        Ok(())
    }
}

impl State {
    fn is_verified(&self, call: Call<[u8; 32], bool>) {
        let is_known = self.knows(&call.request);
        call.answer(is_known);
    }

    fn remember(&mut self, call: Call<[u8; 32], ()>) {
        if !self.knows(&call.request) {
            self.verified.truncate(REMEMBERED - 1);
            self.verified.push_front(call.request);
        }
        call.answer(());
    }

    // All are compared, so that the time does not tell which it was.
    fn knows(&self, digest: &[u8; 32]) -> bool {
        let compare = |is_known, own: &[u8; 32]| is_known | secret::equal(own, digest);
        self.verified.iter().fold(false, compare)
    }
}

//! The actor: it remembers which console credentials were found good.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::actors::handle::Call;
use crate::actors::supervisor::surrounded::Kind;
use crate::crypto::secret;

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

/// The digest of the credentials that were last found good.
#[derive(Default)]
pub(super) struct State {
    verified: Option<[u8; 32]>,
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
        let known = self
            .verified
            .is_some_and(|own| secret::equal(&own, &call.request));
        call.answer(known);
    }

    fn remember(&mut self, call: Call<[u8; 32], ()>) {
        self.verified = Some(call.request);
        call.answer(());
    }
}

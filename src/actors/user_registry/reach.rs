//! Whether the truth can be reached: one question for all who ask meanwhile, since anybody may ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::DEADLINE;
use super::actor::UserRegistryMessage;
use crate::actors::batch::{Gathered, Gathering};
use crate::actors::handle::{AskError, Call, Handle, within};
use crate::stores::Truth;

/// How long it is believed that the truth is up.
const UP_KEPT_FOR: Duration = Duration::from_millis(250);

/// Somebody who asks whether the truth is up.
pub(super) type Probe = Call<(), bool>;

/// Asks whether the truth is up. Clones share the answer.
#[derive(Clone)]
pub(super) struct Reach {
    lane: Handle<UserRegistryMessage>,
    gathering: Gathering<Probe>,
    last: Arc<Mutex<Option<Told>>>,
}

/// What was told last.
#[derive(Clone, Copy)]
struct Told {
    is_up: bool,
    asked_at: Instant,
}

impl Reach {
    pub(super) fn new(lane: Handle<UserRegistryMessage>) -> Self {
        Self {
            lane,
            gathering: Gathering::new(),
            last: Arc::default(),
        }
    }

    /// Whether the truth can be reached, now or a moment ago.
    pub(super) async fn is_up(&self) -> bool {
        let asked_at = Instant::now();
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|told| told.is_up && told.asked_at + UP_KEPT_FOR > asked_at) {
            return true;
        }
        let message = |probe| self.gathering.push(probe).map(UserRegistryMessage::Ping);
        let is_up = match self.lane.ask((), within(DEADLINE), message).await {
            Ok(is_up) => is_up,
            // So many who ask say nothing of the truth.
            Err(AskError::Overloaded) => return last.is_none_or(|told| told.is_up),
            Err(AskError::Gone | AskError::Panicked | AskError::Timeout) => false,
        };
        let told = Told { is_up, asked_at };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        is_up
    }
}

/// Asks once, and answers all who have gathered by then.
pub(super) async fn ping(truth: Truth, probes: Gathered<Probe>) {
    let is_up = truth.tokens.ping().await.is_ok();
    for probe in probes.take() {
        probe.answer(is_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_who_ask_do_not_make_the_truth_down() {
        let (no_room, _published) = Handle::new(0);
        assert!(Reach::new(no_room).is_up().await);
        let (no_actor, _published) = Handle::new(1);
        assert!(!Reach::new(no_actor).is_up().await);
    }

    #[tokio::test]
    async fn only_that_it_is_up_is_believed_and_not_for_long() {
        for (is_up, ago, is_believed) in [
            (true, Duration::ZERO, true),
            (true, UP_KEPT_FOR, false),
            (false, Duration::ZERO, false),
        ] {
            let (no_actor, _published) = Handle::new(1);
            let reach = Reach::new(no_actor);
            let asked_at = Instant::now().checked_sub(ago).unwrap();
            *reach.last.lock().unwrap() = Some(Told { is_up, asked_at });
            assert_eq!(reach.is_up().await, is_believed, "{is_up}, {ago:?} ago");
        }
    }
}

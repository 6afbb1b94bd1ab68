//! What became of the ends of a round: which callers have their answer, and of which ends the fast
//! copy was told. Noted in the truth when the round is over, so that nobody waits for it.
//!
//! An end is noted as answered only once its answer was handed over: a client that was told nothing
//! may come again for an hour. If the note is lost in a crash, so may one that was told.

use super::plan::Plan;
use super::step::Step;
use crate::domain::token_key::TokenKey;
use crate::stores::Truth;
use crate::telemetry::chain::Chain;

/// How often it is tried to note it.
const ATTEMPTS: usize = 2;

/// Ends whose marks may go, by their access tokens.
#[derive(Default)]
pub(super) struct Settlement {
    answered: Vec<TokenKey>,
    published: Vec<TokenKey>,
}

/// The ends of one plan, until its caller is answered.
pub(super) struct Unsettled {
    ended: Vec<TokenKey>,
    is_published: bool,
    is_repeat: bool,
}

impl Unsettled {
    pub(super) fn of(plan: &Plan, is_published: bool) -> Self {
        Self {
            ended: plan.step.settled(),
            is_published,
            is_repeat: matches!(plan.step, Step::Repeat(_)),
        }
    }
}

impl Settlement {
    /// Adds the ends of a plan whose job was answered, and whether somebody took the answer.
    pub(super) fn add(&mut self, own: Unsettled, is_taken: bool) {
        if own.is_published {
            self.published.extend(own.ended.iter().cloned());
        }
        // The client may come once more for a pair that it did not get.
        if is_taken && !own.is_repeat {
            self.answered.extend(own.ended);
        }
    }

    /// Takes the marks off in the truth, in one write.
    pub(super) async fn note(&self, truth: &Truth) {
        if self.answered.is_empty() && self.published.is_empty() {
            return;
        }
        for _ in 0..ATTEMPTS {
            let noted = truth
                .tokens
                .settle_ends(&self.answered, &self.published)
                .await;
            match noted {
                Ok(()) => return,
                Err(error) => tracing::debug!(error = %Chain(&error), "ends stay marked"),
            }
        }
    }
}

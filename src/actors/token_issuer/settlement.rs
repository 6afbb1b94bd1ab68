//! What became of the ends of a round: which callers have their answer, and of which ends the fast
//! copy was told. Noted in the truth when the round is over, so that nobody waits for it.
//!
//! An end is noted as answered only once its answer was handed over: a client that was told nothing
//! may come again for an hour. If the note is lost in a crash, so may one that was told. An end of which
//! the fast copy was told by another round than its own is found later, and it is told again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::plan::Plan;
use crate::domain::token::{EndedToken, RoundId, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::stores::Truth;
use crate::stores::ends::SettledRounds;
use crate::telemetry::chain::Chain;

/// How often it is tried to note it.
const ATTEMPTS: usize = 2;
/// For how long the next round may come.
const PATIENCE: Duration = Duration::from_millis(20);

/// Ends whose marks may go.
#[derive(Default)]
pub(super) struct Settlement {
    rounds: SettledRounds,
}

/// The ends of one plan, until its caller is answered.
pub(super) struct Unsettled {
    round: RoundId,
    ended: Vec<TokenKey>,
    is_published: bool,
}

impl Unsettled {
    pub(super) fn of(plan: &Plan, is_published: bool) -> Self {
        let token = |record: &TokenRecord| record.access_token.clone();
        Self {
            round: plan.round,
            ended: plan.step.ended().into_iter().map(token).collect(),
            is_published,
        }
    }
}

impl Settlement {
    /// Notes that ends are about to be remembered.
    pub(super) fn expect(&mut self, ends: &[EndedToken]) {
        for end in ends {
            let round = self.rounds.entry(end.round).or_default();
            *round.remembered.get_or_insert(0) += 1;
        }
    }

    /// Adds the ends of a plan whose job was answered, and whether somebody took the answer.
    pub(super) fn add(&mut self, own: Unsettled, is_taken: bool) {
        let Some(round) = self.rounds.get_mut(&own.round) else {
            return;
        };
        if own.is_published {
            round.published.extend(own.ended.iter().cloned());
        }
        if is_taken {
            round.answered.extend(own.ended);
        }
    }
}

/// What is to be noted in the truth: by the next round along with its own ends, or by itself where none
/// comes.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// What may go along with a round.
    fresh: SettledRounds,
    /// What a round that failed had taken along: it goes by itself, in case it is the reason.
    returned: SettledRounds,
}

impl Notes {
    /// Has it noted what became of the ends of a round, and what was put back meanwhile.
    pub(super) async fn note(&self, settlement: Settlement, truth: &Truth) {
        let mut rounds = settlement.rounds;
        rounds.retain(|_, ends| !(ends.answered.is_empty() && ends.published.is_empty()));
        self.waiting().fresh.extend(rounds);
        if self.waiting().is_empty() {
            return;
        }
        tokio::time::sleep(PATIENCE).await;
        let rounds = self.waiting().take_all();
        if rounds.is_empty() {
            return;
        }
        for _ in 0..ATTEMPTS {
            match truth.tokens.settle_ends(&rounds).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(error = %Chain(&error), "ends stay marked"),
            }
        }
    }

    /// What may go along with a round. Whoever takes it notes it, or puts it back.
    pub(super) fn take(&self) -> SettledRounds {
        std::mem::take(&mut self.waiting().fresh)
    }

    /// Leaves to whoever notes next what could not be noted.
    pub(super) fn put_back(&self, rounds: SettledRounds) {
        self.waiting().returned.extend(rounds);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }

    fn take_all(&mut self) -> SettledRounds {
        let mut all = std::mem::take(&mut self.fresh);
        all.extend(std::mem::take(&mut self.returned));
        all
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use time::Duration as Span;

    use super::*;
    use crate::clock::Clock;
    use crate::crypto::random;
    use crate::domain::token::RecordId;
    use crate::stores::embedded;
    use crate::stores::ends::SettledEnds;

    /// A real store that remembers one end, its refresh token, and a note that this was answered.
    async fn remembered() -> (TempDir, Truth, TokenKey, SettledRounds) {
        let folder = TempDir::new().unwrap();
        let clock = Clock::default();
        let truth = embedded::open(&folder.path().join("sentinel.redb"), &clock).unwrap();
        let now = clock.now();
        let [access_token, refresh_token] =
            [(); 2].map(|()| TokenKey::plain(random::token_value()));
        let round = random::record_id(now);
        let end = EndedToken {
            access_token: access_token.clone(),
            refresh_token: Some(refresh_token.clone()),
            family: RecordId([1; 12]),
            ended_at: now,
            access_expires_at: now + Span::hours(1),
            forget_at: now + Span::days(1),
            round,
            is_answered: false,
            is_published: false,
        };
        truth.tokens.remember_ends(&[end]).await.unwrap();
        let settled = SettledEnds {
            answered: vec![access_token],
            ..SettledEnds::default()
        };
        let rounds = SettledRounds::from([(round, settled)]);
        (folder, truth, refresh_token, rounds)
    }

    async fn is_answered(truth: &Truth, refresh_token: TokenKey) -> bool {
        let found = truth.tokens.find_ends(&[refresh_token]).await.unwrap();
        found[0].as_ref().unwrap().is_answered
    }

    #[tokio::test]
    async fn a_note_that_no_round_takes_along_goes_by_itself() {
        let (_folder, truth, spent, rounds) = remembered().await;
        let notes = Notes::default();
        notes.note(Settlement { rounds }, &truth).await;
        assert!(is_answered(&truth, spent).await);
        assert!(notes.take().is_empty());
    }

    #[tokio::test]
    async fn what_a_failed_round_had_taken_along_is_noted_though_that_has_nothing_to_note() {
        let (_folder, truth, spent, rounds) = remembered().await;
        let notes = Notes::default();
        notes.put_back(rounds);
        // No round takes it along once more.
        assert!(notes.take().is_empty());
        notes.note(Settlement::default(), &truth).await;
        assert!(is_answered(&truth, spent).await);
    }
}

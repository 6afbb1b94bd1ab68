//! The end of a round: the fast copy is told what was written, the truth is asked once more whether
//! it still holds, and the callers get their answers.

use futures_util::future::{self, join_all};
use time::OffsetDateTime;

use super::error::IssueError;
use super::flight::{Flight, answer_all};
use super::job::{Outcome, unfinished};
use super::plan::Plan;
use super::request::IssuedTokens;
use super::rounds::Rounds;
use super::settlement::{Settlement, Unsettled};
use super::standing::Verdict;
use super::step::Step;
use crate::actors::token_cache::CacheError;
use crate::domain::error::GrantError;
use crate::domain::token_key::TokenKey;

impl Flight {
    /// Brings the fast copy up to date with what was written, then answers. Gives back unanswered
    /// those whose user or client was disabled, deleted or signed out meanwhile, and why to refuse
    /// them: their pairs must not live.
    pub(super) async fn publish(
        &self,
        plans: Vec<Plan>,
        settlement: &mut Settlement,
    ) -> Vec<(Plan, GrantError)> {
        let changes = plans.iter().map(|plan| plan.step.publication()).collect();
        let published = self.caches.publish(changes).await;
        self.put_back_repeated(&plans).await;
        let ((), verdicts) = future::join(self.withdraw_ended(&plans), self.judge(&plans)).await;
        let mut outdated = Vec::new();
        for ((plan, published), verdict) in plans.into_iter().zip(published).zip(verdicts) {
            match verdict {
                Verdict::Good => self.answer(plan, published, settlement),
                Verdict::Outdated(refusal) => outdated.push((plan, refusal)),
                // Nobody knows the pair, so it does no harm.
                Verdict::Unknown(error) => answer_all([plan.job], &error),
            }
        }
        outdated
    }

    /// Ends pairs that were just written, and refuses those that asked for them.
    pub(super) async fn take_back(
        &self,
        outdated: Vec<(Plan, GrantError)>,
        now: OffsetDateTime,
        settlement: &mut Settlement,
    ) {
        let mut rounds = Rounds::new(now);
        let ended = outdated.into_iter().filter_map(|(plan, refusal)| {
            let record = plan.step.new_record()?.clone();
            let step = Step::take_back(record, refusal);
            let round = rounds.of(&step.ended());
            Some(Plan {
                step,
                round,
                ..plan
            })
        });
        let plans: Vec<Plan> = ended.collect();
        tracing::info!(
            pairs = plans.len(),
            "tokens are ended that were issued while their user or client was signed out"
        );
        // One that is not there any more was ended or replaced by another round.
        if let Err(error) = self.write(&plans, now, settlement).await {
            self.forget_ended(&plans).await;
            answer_all(plans.into_iter().map(|plan| plan.job), &error.into());
            return;
        }
        let changes = plans.iter().map(|plan| plan.step.publication()).collect();
        let published = self.caches.publish(changes).await;
        for (plan, published) in plans.into_iter().zip(published) {
            self.answer(plan, published, settlement);
        }
    }

    fn answer(&self, plan: Plan, published: Result<(), CacheError>, settlement: &mut Settlement) {
        let now = self.clock.now();
        let published = published.map_err(IssueError::from);
        let published = published.and_then(|()| self.check_published(&plan));
        let unsettled = Unsettled::of(&plan, published.is_ok());
        let is_taken = plan.job.answer(match plan.step {
            Step::Refuse(error) => Err(error.into()),
            Step::Tell(grant) => Ok(Outcome::Inspected(grant)),
            Step::Repeat(told) => {
                let issued = IssuedTokens::of(&told.record, told.pair, now);
                Ok(Outcome::Issued(issued))
            }
            // The truth has the pair. Redis is brought up to date before it is trusted again.
            Step::Put(put) => {
                let issued = IssuedTokens::of(&put.record, put.pair, put.record.issued_at);
                Ok(Outcome::Issued(issued))
            }
            // Who is refused is so whatever Redis did: the truth has the end.
            Step::End { answer, .. } => match answer {
                Err(refused) => Err(IssueError::Rejected(refused)),
                Ok(()) => published.map(|()| Outcome::Ended),
            },
        });
        settlement.add(unsettled, is_taken);
    }

    // A pair whose answer was lost may be missing in Redis, too.
    async fn put_back_repeated(&self, plans: &[Plan]) {
        let repeated = plans.iter().filter_map(|plan| match &plan.step {
            Step::Repeat(told) => Some(&told.record.access_token),
            Step::Refuse(_) | Step::Tell(_) | Step::Put(_) | Step::End { .. } => None,
        });
        join_all(repeated.map(|token| self.caches.put_back(token))).await;
    }

    // A Redis that is not trusted may have any access token of a family that is gone.
    fn check_published(&self, plan: &Plan) -> Result<(), IssueError> {
        match &plan.step {
            Step::End { ended, .. } if ended.is_empty() && !self.caches.is_connected() => {
                Err(unfinished())
            }
            _ => Ok(()),
        }
    }

    // Between our write to the truth and the one to Redis, another server may have ended the new
    // pair: then our key in Redis would outlive it. Done before the answer: a client that has one may
    // count on Redis to know its token, though the truth fails right after.
    async fn withdraw_ended(&self, plans: &[Plan]) {
        let told = plans.iter().filter_map(|plan| plan.step.told());
        let new: Vec<TokenKey> = told.map(|record| record.access_token.clone()).collect();
        if new.is_empty() || !self.caches.has_redis() {
            return;
        }
        match self.truth.tokens.find_present(&new).await {
            Ok(present) => {
                let is_gone = |token: &TokenKey| !present.contains(token);
                let gone: Vec<TokenKey> = new.into_iter().filter(is_gone).collect();
                if !gone.is_empty() {
                    let _replayed_later = self.caches.withdraw(gone).await;
                }
            }
            // Not knowing, the fast copy goes without them; the truth will put them back.
            Err(_) => {
                let _replayed_later = self.caches.withdraw_doubtful(new).await;
            }
        }
    }
}

//! One round of writes: read what is there, decide, remember the ends, write under conditions,
//! then bring the fast copy up to date, then answer. What became of the ends is noted after that.
//!
//! An end is remembered before it happens, so a crash in between never leaves a token in Redis
//! whose end nobody knows. A write whose condition no longer held is decided anew on what is
//! there now. What is to be refused or told as done because it was not found is looked up once more,
//! after the truth has confirmed that it is not behind.

use futures_util::future;
use time::OffsetDateTime;

use super::IssueError;
use super::found::Found;
use super::job::{Job, unfinished};
use super::plan::{Decider, Plan};
use super::rounds::Rounds;
use super::settlement::{Notes, Settlement};
use crate::actors::token_cache::TokenCache;
use crate::clock::Clock;
use crate::domain::token::{EndedToken, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;
use crate::stores::{TokenWrite, Truth};
use crate::telemetry::metrics::{TOKEN_WRITE_GROUPS, TOKEN_WRITES};

/// How often in a row nothing of a batch can be done, because other writes came first, before it
/// is given up. Logins of one user and client at once are done one after the other.
const FRUITLESS_ATTEMPTS: usize = 32;

/// All a round of writes needs.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) truth: Truth,
    pub(super) caches: TokenCache,
    pub(super) clock: Clock,
    pub(super) notes: Notes,
}

/// What a round has come to so far.
#[derive(Default)]
struct Progress {
    settlement: Settlement,
    /// Whether the truth has confirmed since the round began that it is not behind.
    is_confirmed: bool,
}

/// A round that panics may have written ends to the truth and not published them. Nobody knows
/// which, so the fast copy carries out all of them before it is trusted again.
struct StartOver<'a>(&'a TokenCache);

impl Drop for StartOver<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.start_over();
        }
    }
}

impl Flight {
    /// Carries out the jobs and answers each. Gives what is to be noted of their ends.
    pub(super) async fn run(&self, mut jobs: Vec<Job>) -> Settlement {
        let _starts_over = StartOver(&self.caches);
        let mut progress = Progress::default();
        let mut fruitless = 0;
        while fruitless < FRUITLESS_ATTEMPTS {
            jobs.retain(|job| !job.is_stale());
            if jobs.is_empty() {
                return progress.settlement;
            }
            let before = jobs.len();
            jobs = self.attempt(jobs, &mut progress).await;
            fruitless = if jobs.len() < before {
                0
            } else {
                fruitless + 1
            };
        }
        answer_all(jobs, &unfinished());
        progress.settlement
    }

    // Answers the jobs that could be done or refused, and gives back those to decide anew.
    async fn attempt(&self, jobs: Vec<Job>, progress: &mut Progress) -> Vec<Job> {
        let found = match self.look_up(&jobs).await {
            Ok(found) => found,
            Err(error) => {
                self.withdraw_revoked(&jobs).await;
                answer_all(jobs, &error.into());
                return Vec::new();
            }
        };
        let now = self.clock.now();
        let decider = Decider {
            now,
            storage: self.caches.storage(),
        };
        let is_confirmed = progress.is_confirmed;
        let mut rounds = Rounds::new(now);
        let plans = jobs
            .into_iter()
            .map(|job| decider.plan(job, &found, &mut rounds));
        let (doubtful, certain): (Vec<_>, Vec<_>) =
            plans.partition(|plan| !is_confirmed && plan.step.rests_on_absence());
        let doubtful = doubtful.into_iter().map(|plan| plan.job).collect();
        let (lost, confirmed) = future::join(
            self.carry_out(certain, now, &mut progress.settlement),
            self.confirm(doubtful),
        )
        .await;
        progress.is_confirmed |= !confirmed.is_empty();
        lost.into_iter().chain(confirmed).collect()
    }

    async fn look_up(&self, jobs: &[Job]) -> Result<Found, StoreError> {
        let mut found = Found::read(&self.truth, jobs).await?;
        if self.caches.has_redis() {
            found.read_unpublished(&self.truth).await?;
        }
        Ok(found)
    }

    // A primary that was deposed and does not know it yet finds nothing of what its successor wrote.
    // Gives back the jobs if what is read from now on is no older than they are.
    async fn confirm(&self, jobs: Vec<Job>) -> Vec<Job> {
        if jobs.is_empty() {
            return jobs;
        }
        match self.truth.tokens.confirm().await {
            Ok(()) => jobs,
            Err(error) => {
                self.withdraw_revoked(&jobs).await;
                answer_all(jobs, &error.into());
                Vec::new()
            }
        }
    }

    // Answers those of these plans that could be carried out, and gives back the jobs of the others.
    async fn carry_out(
        &self,
        plans: Vec<Plan>,
        now: OffsetDateTime,
        settlement: &mut Settlement,
    ) -> Vec<Job> {
        let done = match self.write(&plans, now, settlement).await {
            Ok(done) => done,
            Err(error) => {
                self.forget_ended(&plans).await;
                answer_all(plans.into_iter().map(|plan| plan.job), &error.into());
                return Vec::new();
            }
        };
        let (done, lost): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .zip(done)
            .partition(|(_, is_done)| *is_done);
        let lost: Vec<Plan> = lost.into_iter().map(|(plan, _)| plan).collect();
        // A write that is told as not done may have been done and replaced by another since.
        let ended = ended_by(&lost);
        if !ended.is_empty() {
            let _replayed_later = self.caches.withdraw(ended).await;
        }
        let done = done.into_iter().map(|(plan, _)| plan).collect();
        let outdated = self.publish(done, settlement).await;
        if !outdated.is_empty() {
            self.take_back(outdated, now, settlement).await;
        }
        lost.into_iter().map(|plan| plan.job).collect()
    }

    // Remembers the ends, then writes. Tells for each plan whether all of its writes were done.
    pub(super) async fn write(
        &self,
        plans: &[Plan],
        now: OffsetDateTime,
        settlement: &mut Settlement,
    ) -> Result<Vec<bool>, StoreError> {
        let end = |plan: &Plan| {
            let end = |record: &TokenRecord| record.end(now, plan.round);
            plan.step.ended().into_iter().map(end).collect::<Vec<_>>()
        };
        let ends: Vec<EndedToken> = plans.iter().flat_map(end).collect();
        settlement.expect(&ends);
        let writes: Vec<Vec<TokenWrite>> = plans.iter().map(|plan| plan.step.writes()).collect();
        let flat: Vec<TokenWrite> = writes.iter().flatten().cloned().collect();
        if !ends.is_empty() {
            let notes = self.notes.take();
            let remembered = self.truth.tokens.remember_and_settle(&ends, &notes).await;
            // Should it be they that cannot be written, they are in nobody's way from now on.
            if remembered.is_err() {
                self.notes.put_back(notes);
            }
            remembered?;
        }
        if flat.is_empty() {
            return Ok(vec![true; plans.len()]);
        }
        metrics::counter!(TOKEN_WRITES).increment(flat.len().try_into().unwrap_or(u64::MAX));
        metrics::counter!(TOKEN_WRITE_GROUPS).increment(1);
        let mut outcomes = self.truth.tokens.write(&flat).await?.into_iter();
        let all_done = |own: Vec<TokenWrite>| {
            // No short cut: each outcome is taken from the iterator.
            own.iter()
                .fold(true, |all, _| outcomes.next().unwrap_or(false) && all)
        };
        Ok(writes.into_iter().map(all_done).collect())
    }

    // Without the truth nothing can be revoked. But Redis can go without the tokens, so that nobody
    // is let in who reads it alone; the truth puts them back if nobody asks for the end again.
    async fn withdraw_revoked(&self, jobs: &[Job]) {
        let revoked = jobs.iter().filter_map(|job| match job {
            // A stranger's cannot be told from the owner's here; the truth puts back what lives.
            Job::Revoke(call) => Some(call.request.token.clone()),
            Job::Issue(_) | Job::Rotate(_) | Job::Inspect(_) | Job::EndFamilies(_) => None,
        });
        let revoked: Vec<TokenKey> = revoked.collect();
        if !revoked.is_empty() {
            let _not_answered_as_done = self.caches.withdraw_doubtful(revoked).await;
        }
    }

    // After a write of unknown outcome the fast copy goes without the tokens that it may have ended:
    // if they live, the truth puts them back.
    pub(super) async fn forget_ended(&self, plans: &[Plan]) {
        let ended = ended_by(plans);
        if !ended.is_empty() {
            let _replayed_later = self.caches.withdraw_doubtful(ended).await;
        }
    }
}

fn ended_by(plans: &[Plan]) -> Vec<TokenKey> {
    let ended = plans.iter().flat_map(|plan| plan.step.ended());
    ended.map(|record| record.access_token.clone()).collect()
}

pub(super) fn answer_all(jobs: impl IntoIterator<Item = Job>, error: &IssueError) {
    for job in jobs {
        let _whether_or_not_taken = job.answer(Err(error.clone()));
    }
}

//! One round of writes: read what is there, decide, remember the ends, write under conditions,
//! then bring the fast copy up to date, then answer.
//!
//! An end is remembered before it happens, so a crash in between never leaves a token in Redis
//! whose end nobody knows. A write whose condition no longer held is decided anew on what is
//! there now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use time::OffsetDateTime;

use super::{Issue, IssueError, IssuedTokens, Job, TokenPolicy};
use crate::actors::token_cache::TokenCache;
use crate::clock::Clock;
use crate::crypto::random;
use crate::domain::error::GrantError;
use crate::domain::grant::refresh_token::{self, Decision, RefreshTokenRequest};
use crate::domain::scope::Scope;
use crate::domain::token::{
    EndedToken, Grant, GrantUser, RecordId, RotatedFrom, TokenRecord, TokenValue,
};
use crate::stores::error::StoreError;
use crate::stores::redis::connection::Publication;
use crate::stores::{TokenWrite, Truth};

/// How often a request is decided anew because another write came first.
const ATTEMPTS: usize = 16;

/// All a round of writes needs.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) truth: Truth,
    pub(super) caches: TokenCache,
    pub(super) clock: Clock,
    pub(super) policy: TokenPolicy,
}

/// What is to become of one job.
struct Plan {
    job: Job,
    step: Step,
}

enum Step {
    /// Nothing is to be written: this is the answer.
    Answer(Result<Box<IssuedTokens>, IssueError>),
    /// Write a pair, in place of one or not.
    Put(Box<Put>),
    /// End these pairs; then answer so. The token itself goes from Redis in any case.
    End {
        ended: Vec<TokenRecord>,
        token: TokenValue,
        answer: Result<(), GrantError>,
    },
}

/// A pair to be written, in the place of another or not.
struct Put {
    record: TokenRecord,
    user: GrantUser,
    replaced: Option<TokenRecord>,
}

/// What is in the truth for the jobs of one attempt.
struct Found {
    sessions: HashMap<(String, RecordId), TokenRecord>,
    by_refresh: HashMap<TokenValue, TokenRecord>,
    by_access: HashMap<TokenValue, TokenRecord>,
    ends: HashMap<TokenValue, EndedToken>,
    families: HashMap<RecordId, Vec<TokenRecord>>,
    users: HashMap<RecordId, GrantUser>,
}

impl Flight {
    /// Carries out the jobs and answers each.
    pub(super) async fn run(&self, mut jobs: Vec<Job>) {
        for _ in 0..ATTEMPTS {
            jobs.retain(|job| !job.is_stale());
            if jobs.is_empty() {
                return;
            }
            jobs = self.attempt(jobs).await;
        }
        let error = IssueError::Unavailable(Arc::new(StoreError::Timeout { store: "token" }));
        answer_all(jobs, &error);
    }

    // Answers the jobs that could be done or refused, and gives back those to decide anew.
    async fn attempt(&self, jobs: Vec<Job>) -> Vec<Job> {
        let found = match self.read(&jobs).await {
            Ok(found) => found,
            Err(error) => {
                answer_all(jobs, &error.into());
                return Vec::new();
            }
        };
        let now = self.clock.now();
        let mut plans: Vec<Plan> = Vec::new();
        for job in jobs {
            let step = self.decide(&job, &found, now).unwrap_or_else(Step::refuse);
            plans.push(Plan { job, step });
        }
        let done = match self.write(&plans, now).await {
            Ok(done) => done,
            Err(error) => {
                answer_all(plans.into_iter().map(|plan| plan.job), &error.into());
                return Vec::new();
            }
        };
        let (done, lost): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .zip(done)
            .partition(|(_, is_done)| *is_done);
        self.publish(done.into_iter().map(|(plan, _)| plan).collect())
            .await;
        lost.into_iter().map(|(plan, _)| plan.job).collect()
    }

    async fn read(&self, jobs: &[Job]) -> Result<Found, StoreError> {
        let tokens = &self.truth.tokens;
        let mut sessions = Vec::new();
        let mut refresh_tokens = Vec::new();
        let mut access_tokens = Vec::new();
        for job in jobs {
            match job {
                Job::Issue(call) => {
                    sessions.push((call.request.client_id.clone(), call.request.user.id));
                }
                Job::Rotate(call) => refresh_tokens.push(call.request.refresh_token.clone()),
                Job::Revoke(call) => {
                    access_tokens.push(call.request.clone());
                    refresh_tokens.push(call.request.clone());
                }
            }
        }
        let (by_session, by_refresh, by_access) = futures_util::try_join!(
            tokens.find_by_session(&sessions),
            tokens.find_by_refresh_token(&refresh_tokens),
            tokens.find_by_access_token(&access_tokens),
        )?;
        let unknown: Vec<TokenValue> = refresh_tokens
            .iter()
            .zip(&by_refresh)
            .filter(|(_, record)| record.is_none())
            .map(|(token, _)| token.clone())
            .collect();
        let ends = unknown
            .iter()
            .cloned()
            .zip(tokens.find_ends(&unknown).await?);
        let ends: HashMap<_, _> = present(ends).collect();
        let session_keys = sessions
            .into_iter()
            .map(|(client, user)| (client.to_string(), user));
        let by_refresh: HashMap<_, _> =
            present(refresh_tokens.into_iter().zip(by_refresh)).collect();
        Ok(Found {
            users: self.read_users(by_refresh.values()).await?,
            families: self.read_families(&ends, &by_refresh).await?,
            sessions: present(session_keys.zip(by_session)).collect(),
            by_access: present(access_tokens.into_iter().zip(by_access)).collect(),
            by_refresh,
            ends,
        })
    }

    async fn read_users(
        &self,
        records: impl Iterator<Item = &TokenRecord> + Send,
    ) -> Result<HashMap<RecordId, GrantUser>, StoreError> {
        let ids: Vec<RecordId> = records.filter_map(|record| record.user_id).collect();
        let users = self.truth.users.find_users_by_id(&ids).await?;
        let enabled = users.into_iter().flatten().filter(|user| !user.is_disabled);
        Ok(enabled
            .map(|user| {
                (
                    user.id,
                    GrantUser {
                        id: user.id,
                        username: user.username,
                    },
                )
            })
            .collect())
    }

    // The families that a spent refresh token may end.
    async fn read_families(
        &self,
        ends: &HashMap<TokenValue, EndedToken>,
        by_refresh: &HashMap<TokenValue, TokenRecord>,
    ) -> Result<HashMap<RecordId, Vec<TokenRecord>>, StoreError> {
        let mut families: HashSet<RecordId> = ends.values().map(|end| end.family).collect();
        let spent = by_refresh
            .iter()
            .filter(|(t, record)| record.refresh_token.as_ref() != Some(*t));
        families.extend(spent.map(|(_, record)| record.family));
        let families: Vec<RecordId> = families.into_iter().collect();
        let mut found: HashMap<RecordId, Vec<TokenRecord>> = HashMap::new();
        for record in self.truth.tokens.find_by_family(&families).await? {
            found.entry(record.family).or_default().push(record);
        }
        Ok(found)
    }

    fn decide(&self, job: &Job, found: &Found, now: OffsetDateTime) -> Result<Step, GrantError> {
        match job {
            Job::Issue(call) => Ok(self.decide_issue(&call.request, found, now)),
            Job::Rotate(call) => self.decide_rotate(&call.request, found, now),
            Job::Revoke(call) => Ok(decide_revoke(&call.request, found)),
        }
    }

    fn decide_issue(&self, issue: &Issue, found: &Found, now: OffsetDateTime) -> Step {
        let session = (issue.client_id.to_string(), issue.user.id);
        let replaced = found.sessions.get(&session).cloned();
        let id = random::record_id(now);
        let record = TokenRecord {
            id: replaced.as_ref().map_or(id, |replaced| replaced.id),
            access_token: random::token_value(),
            refresh_token: Some(random::token_value()),
            client_id: issue.client_id.clone(),
            user_id: Some(issue.user.id),
            scope: issue.scope.clone(),
            refresh_scope: issue.scope.clone(),
            issued_at: now,
            expires_at: now + self.policy.access_lifetime,
            refresh_expires_at: self.policy.refresh_lifetime.map(|lifetime| now + lifetime),
            family: id,
            rotated_from: None,
        };
        Step::put(record, issue.user.clone(), replaced)
    }

    fn decide_rotate(
        &self,
        request: &RefreshTokenRequest,
        found: &Found,
        now: OffsetDateTime,
    ) -> Result<Step, GrantError> {
        let Some(record) = found.by_refresh.get(&request.refresh_token) else {
            let end = found
                .ends
                .get(&request.refresh_token)
                .ok_or(GrantError::InvalidGrant)?;
            return Ok(Step::end_family(end.family, request, found));
        };
        let user = record.user_id.and_then(|id| found.users.get(&id));
        match refresh_token::decide(request, record, now)? {
            Decision::EndFamily => Ok(Step::end_family(record.family, request, found)),
            Decision::Repeat => Ok(Step::Answer(Ok(Box::new(issued(record, now))))),
            Decision::Rotate(scope) => {
                let user = user.ok_or(GrantError::InvalidGrant)?;
                let next = self.rotated(record, scope, now);
                Ok(Step::put(next, user.clone(), Some(record.clone())))
            }
        }
    }

    fn rotated(&self, record: &TokenRecord, scope: Scope, now: OffsetDateTime) -> TokenRecord {
        let spent = record.refresh_token.clone();
        // A token of Flask-Sentinel has no end of its own; from its first rotation on it has.
        let refresh_end = self.policy.refresh_lifetime.map(|lifetime| now + lifetime);
        TokenRecord {
            access_token: random::token_value(),
            refresh_token: Some(random::token_value()),
            scope,
            issued_at: now,
            expires_at: now + self.policy.access_lifetime,
            refresh_expires_at: record.refresh_expires_at.or(refresh_end),
            rotated_from: spent.map(|refresh_token| RotatedFrom {
                refresh_token,
                at: now,
            }),
            ..record.clone()
        }
    }

    // Remembers the ends, then writes. Tells for each plan whether all of its writes were done.
    async fn write(&self, plans: &[Plan], now: OffsetDateTime) -> Result<Vec<bool>, StoreError> {
        let ends: Vec<EndedToken> = plans
            .iter()
            .flat_map(|plan| plan.step.ended())
            .map(|record| record.end(now))
            .collect();
        let writes: Vec<Vec<TokenWrite>> = plans.iter().map(|plan| plan.step.writes()).collect();
        let flat: Vec<TokenWrite> = writes.iter().flatten().cloned().collect();
        if !ends.is_empty() {
            self.truth.tokens.remember_ends(&ends).await?;
        }
        if flat.is_empty() {
            return Ok(vec![true; plans.len()]);
        }
        let mut outcomes = self.truth.tokens.write(&flat).await?.into_iter();
        let all_done = |own: Vec<TokenWrite>| {
            // No short cut: each outcome is taken from the iterator.
            own.iter()
                .fold(true, |all, _| outcomes.next().unwrap_or(false) && all)
        };
        Ok(writes.into_iter().map(all_done).collect())
    }

    // Brings the fast copy up to date with what was written, then answers.
    async fn publish(&self, plans: Vec<Plan>) {
        let now = self.clock.now();
        let published = join_all(plans.iter().map(|plan| self.publish_one(plan))).await;
        if self.caches.has_redis() {
            self.withdraw_ended(&plans).await;
        }
        for (plan, published) in plans.into_iter().zip(published) {
            plan.job.answer(match plan.step {
                Step::Answer(answer) => answer.map(|issued| Some(*issued)),
                // The truth has the pair. Redis is brought up to date before it is trusted again.
                Step::Put(put) => Ok(Some(issued(&put.record, now))),
                Step::End { answer, .. } => match published {
                    Ok(()) => answer.map(|()| None).map_err(IssueError::Rejected),
                    Err(error) => Err(error),
                },
            });
        }
    }

    async fn publish_one(&self, plan: &Plan) -> Result<(), IssueError> {
        let change = match &plan.step {
            Step::Answer(_) => return Ok(()),
            Step::Put(put) => Publication {
                set: Some((put.record.access_token.clone(), put.grant())),
                delete: put
                    .replaced
                    .iter()
                    .map(|old| old.access_token.clone())
                    .collect(),
            },
            Step::End { ended, token, .. } => {
                let mut delete: Vec<_> = ended
                    .iter()
                    .map(|record| record.access_token.clone())
                    .collect();
                if !delete.contains(token) {
                    delete.push(token.clone());
                }
                Publication { set: None, delete }
            }
        };
        Ok(self.caches.publish(change).await?)
    }

    // Between our write to the truth and the one to Redis, another server may have ended the new
    // pair: then our key in Redis would outlive it.
    async fn withdraw_ended(&self, plans: &[Plan]) {
        let tokens: Vec<TokenValue> = plans
            .iter()
            .filter_map(|plan| match &plan.step {
                Step::Put(put) => Some(put.record.access_token.clone()),
                Step::Answer(_) | Step::End { .. } => None,
            })
            .collect();
        if tokens.is_empty() {
            return;
        }
        let delete = match self.truth.tokens.find_by_access_token(&tokens).await {
            Ok(found) => {
                let pairs = tokens.into_iter().zip(found);
                pairs
                    .filter(|(_, record)| record.is_none())
                    .map(|(token, _)| token)
                    .collect()
            }
            // Not knowing, the fast copy goes without them; the truth will put them back.
            Err(_) => tokens,
        };
        if !delete.is_empty() {
            let _replayed_later = self.caches.publish(Publication { set: None, delete }).await;
        }
    }
}

impl Step {
    fn put(record: TokenRecord, user: GrantUser, replaced: Option<TokenRecord>) -> Self {
        Self::Put(Box::new(Put {
            record,
            user,
            replaced,
        }))
    }

    fn end_family(family: RecordId, request: &RefreshTokenRequest, found: &Found) -> Self {
        let ended = found.families.get(&family).cloned().unwrap_or_default();
        tracing::warn!(
            client.id = %request.client_id,
            "a spent refresh token was presented again; its family is ended"
        );
        let token = request.refresh_token.clone();
        Self::End {
            ended,
            token,
            answer: Err(GrantError::InvalidGrant),
        }
    }

    fn refuse(error: GrantError) -> Self {
        Self::Answer(Err(error.into()))
    }

    fn ended(&self) -> Vec<&TokenRecord> {
        match self {
            Self::Answer(_) => Vec::new(),
            Self::Put(put) => put.replaced.iter().collect(),
            Self::End { ended, .. } => ended.iter().collect(),
        }
    }

    fn writes(&self) -> Vec<TokenWrite> {
        match self {
            Self::Answer(_) => Vec::new(),
            Self::Put(put) => vec![put.write()],
            Self::End { ended, .. } => ended
                .iter()
                .map(|record| TokenWrite::Delete {
                    expected: record.into(),
                })
                .collect(),
        }
    }
}

impl Put {
    fn grant(&self) -> Grant {
        Grant {
            user: Some(self.user.clone()),
            client_id: self.record.client_id.clone(),
            scope: self.record.scope.clone(),
            issued_at: self.record.issued_at,
            expires_at: self.record.expires_at,
        }
    }

    fn write(&self) -> TokenWrite {
        let record = self.record.clone();
        match &self.replaced {
            None => TokenWrite::Insert(record),
            Some(replaced) => TokenWrite::Replace {
                expected: replaced.into(),
                record,
            },
        }
    }
}

impl Job {
    fn answer(self, answer: Result<Option<IssuedTokens>, IssueError>) {
        let missing = || IssueError::Unavailable(Arc::new(StoreError::Timeout { store: "token" }));
        match self {
            Self::Issue(call) => call.answer(answer.and_then(|some| some.ok_or_else(missing))),
            Self::Rotate(call) => call.answer(answer.and_then(|some| some.ok_or_else(missing))),
            Self::Revoke(call) => call.answer(answer.map(|_| ())),
        }
    }
}

fn decide_revoke(token: &TokenValue, found: &Found) -> Step {
    let of_refresh = found
        .by_refresh
        .get(token)
        .filter(|record| record.refresh_token.as_ref() == Some(token));
    let ended = found.by_access.get(token).or(of_refresh).cloned();
    // A repeat after a failure finds the pair gone, but Redis may still have its access token.
    let owed = found.ends.get(token).map(|end| end.access_token.clone());
    let token = owed.unwrap_or_else(|| token.clone());
    Step::End {
        ended: ended.into_iter().collect(),
        token,
        answer: Ok(()),
    }
}

fn issued(record: &TokenRecord, now: OffsetDateTime) -> IssuedTokens {
    IssuedTokens {
        access_token: record.access_token.clone(),
        refresh_token: record.refresh_token.clone(),
        expires_at: record.expires_at,
        expires_in: Duration::try_from(record.expires_at - now).unwrap_or_default(),
        scope: record.scope.clone(),
    }
}

fn present<K, V>(pairs: impl Iterator<Item = (K, Option<V>)>) -> impl Iterator<Item = (K, V)> {
    pairs.filter_map(|(key, value)| value.map(|value| (key, value)))
}

fn answer_all(jobs: impl IntoIterator<Item = Job>, error: &IssueError) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}

//! What is to become of each job, decided on what was found: no I/O.

use time::OffsetDateTime;

use super::found::Found;
use super::job::{Issue, Job};
use super::request::TokenPolicy;
use crate::crypto::random;
use crate::domain::error::GrantError;
use crate::domain::grant::refresh_token::{self, Decision, RefreshTokenRequest};
use crate::domain::scope::Scope;
use crate::domain::token::{FamilyId, Grant, GrantUser, RotatedFrom, TokenRecord, TokenValue};
use crate::stores::TokenWrite;
use crate::stores::redis::connection::Publication;

/// What is to become of one job.
pub(super) struct Plan {
    pub(super) job: Job,
    pub(super) step: Step,
}

/// What is to be written, and what is to be answered.
pub(super) enum Step {
    /// Nothing is to be written: this is the answer.
    Refuse(GrantError),
    /// Write a pair, in place of one or not.
    Put(Box<Put>),
    /// Answer with a pair that was written before, whose answer was lost. Redis may not have been
    /// told of it, nor that the access token it replaced has ended.
    Repeat(Box<Put>),
    /// End these pairs; then answer so. The token itself goes from Redis in any case, and what
    /// another server ended before without being able to tell Redis.
    End {
        ended: Vec<TokenRecord>,
        token: TokenValue,
        unpublished: Vec<TokenValue>,
        answer: Result<(), GrantError>,
    },
}

/// A pair to be written, in the place of another or not.
pub(super) struct Put {
    pub(super) record: TokenRecord,
    user: GrantUser,
    replaced: Option<TokenRecord>,
}

/// Decides at one instant.
pub(super) struct Decider {
    pub(super) policy: TokenPolicy,
    pub(super) now: OffsetDateTime,
}

impl Decider {
    /// The plan for a job.
    pub(super) fn plan(&self, job: Job, found: &Found) -> Plan {
        let step = match &job {
            Job::Issue(call) => self.issue(&call.request, found),
            Job::Rotate(call) => {
                let decided = self.rotate(&call.request, found);
                decided.unwrap_or_else(Step::Refuse)
            }
            Job::Revoke(call) => revoke(&call.request, found),
        };
        Plan { job, step }
    }

    fn issue(&self, issue: &Issue, found: &Found) -> Step {
        let (now, policy) = (self.now, self.policy);
        let session = (issue.client_id.clone(), issue.user.id);
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
            expires_at: now + policy.access_lifetime,
            refresh_expires_at: policy.refresh_lifetime.map(|lifetime| now + lifetime),
            family: id,
            rotated_from: None,
            replaced: replaced
                .as_ref()
                .map(|replaced| replaced.access_token.clone()),
        };
        Step::put(record, issue.user.clone(), replaced)
    }

    fn rotate(&self, request: &RefreshTokenRequest, found: &Found) -> Result<Step, GrantError> {
        let Some(record) = found.by_refresh.get(&request.refresh_token) else {
            let end = found
                .ends
                .get(&request.refresh_token)
                .ok_or(GrantError::InvalidGrant)?;
            return Ok(Step::end_family(end.family, request, found));
        };
        let end = found.ends.get(&request.refresh_token);
        let is_answered = end.is_none_or(|end| end.is_answered);
        let decision = refresh_token::decide(request, record, is_answered, self.now)?;
        let user = || {
            let user = record.user_id.and_then(|id| found.users.get(&id));
            user.cloned().ok_or(GrantError::InvalidGrant)
        };
        Ok(match decision {
            Decision::EndFamily => Step::end_family(record.family, request, found),
            Decision::Rotate(scope) => {
                Step::put(self.rotated(record, scope), user()?, Some(record.clone()))
            }
            Decision::Repeat => Step::Repeat(Box::new(Put {
                record: record.clone(),
                user: user()?,
                replaced: None,
            })),
        })
    }

    fn rotated(&self, record: &TokenRecord, scope: Scope) -> TokenRecord {
        let (now, policy) = (self.now, self.policy);
        let spent = record.refresh_token.clone();
        // A token of Flask-Sentinel has no end of its own; from its first rotation on it has.
        let refresh_end = policy.refresh_lifetime.map(|lifetime| now + lifetime);
        TokenRecord {
            access_token: random::token_value(),
            refresh_token: Some(random::token_value()),
            scope,
            issued_at: now,
            expires_at: now + policy.access_lifetime,
            refresh_expires_at: record.refresh_expires_at.or(refresh_end),
            rotated_from: spent.map(|refresh_token| RotatedFrom {
                refresh_token,
                at: now,
            }),
            replaced: Some(record.access_token.clone()),
            ..record.clone()
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

    // A refresh token that another client presents tells nothing of its own client's.
    fn end_family(family: FamilyId, request: &RefreshTokenRequest, found: &Found) -> Self {
        let mut ended = found.families.get(&family).cloned().unwrap_or_default();
        ended.retain(|record| record.client_id == request.client_id);
        if !ended.is_empty() {
            tracing::warn!(
                client.id = %request.client_id,
                "a spent refresh token was presented again; its family is ended"
            );
        }
        let token = request.refresh_token.clone();
        Self::End {
            ended,
            token,
            unpublished: found.unpublished_of(family),
            answer: Err(GrantError::InvalidGrant),
        }
    }

    /// Whether something is refused or told as done because it was not found: nothing is written,
    /// so no majority of the truth has confirmed it.
    pub(super) fn rests_on_absence(&self) -> bool {
        match self {
            Self::Refuse(error) => matches!(error, GrantError::InvalidGrant),
            Self::End { ended, .. } => ended.is_empty(),
            Self::Put(_) | Self::Repeat(_) => false,
        }
    }

    /// The record that the fast copy is told of.
    pub(super) fn told(&self) -> Option<&TokenRecord> {
        match self {
            Self::Put(put) => Some(&put.record),
            Self::Refuse(_) | Self::Repeat(_) | Self::End { .. } => None,
        }
    }

    /// The records that it ends.
    pub(super) fn ended(&self) -> Vec<&TokenRecord> {
        match self {
            Self::Refuse(_) | Self::Repeat(_) => Vec::new(),
            Self::Put(put) => put.replaced.iter().collect(),
            Self::End { ended, .. } => ended.iter().collect(),
        }
    }

    /// What it writes to the truth.
    pub(super) fn writes(&self) -> Vec<TokenWrite> {
        match self {
            Self::Refuse(_) | Self::Repeat(_) => Vec::new(),
            Self::Put(put) => vec![put.write()],
            Self::End { ended, .. } => ended
                .iter()
                .map(|record| TokenWrite::Delete {
                    expected: record.into(),
                })
                .collect(),
        }
    }

    /// What it changes in the fast copy.
    pub(super) fn publication(&self) -> Option<Publication> {
        match self {
            Self::Refuse(_) => None,
            Self::Put(put) => Some(Publication {
                set: Some((put.record.access_token.clone(), put.grant())),
                delete: put.replaced.iter().flat_map(dead_with).collect(),
            }),
            // Its access token is known: set from here, it might outlive its end. It is put back.
            Self::Repeat(pair) => Some(Publication {
                set: None,
                delete: pair.record.replaced.iter().cloned().collect(),
            }),
            Self::End {
                ended,
                token,
                unpublished,
                ..
            } => {
                let mut delete: Vec<TokenValue> = ended.iter().flat_map(dead_with).collect();
                for token in unpublished.iter().chain([token]) {
                    if !delete.contains(token) {
                        delete.push(token.clone());
                    }
                }
                Some(Publication { set: None, delete })
            }
        }
    }
}

// A record that ends takes its predecessor along: the server that replaced that one may have died
// before it could tell Redis.
fn dead_with(record: &TokenRecord) -> impl Iterator<Item = TokenValue> + use<> {
    let own = std::iter::once(record.access_token.clone());
    own.chain(record.replaced.clone())
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

// A spent refresh token ends what descends from it: it may have been rotated a moment ago.
fn revoke(token: &TokenValue, found: &Found) -> Step {
    let owed = found.ends.get(token);
    let of_refresh = found.by_refresh.get(token);
    let family = of_refresh
        .map(|record| record.family)
        .or(owed.map(|end| end.family));
    let ended = match (found.by_access.get(token), of_refresh, family) {
        (Some(record), _, _) => vec![record.clone()],
        (None, Some(record), _) if record.refresh_token.as_ref() == Some(token) => {
            vec![record.clone()]
        }
        (None, _, Some(family)) => found.families.get(&family).cloned().unwrap_or_default(),
        (None, _, None) => Vec::new(),
    };
    // A repeat after a failure finds the pair gone, but Redis may still have its access token.
    let token = owed.map_or(token, |end| &end.access_token).clone();
    Step::End {
        ended,
        token,
        unpublished: family.map_or(Vec::new(), |family| found.unpublished_of(family)),
        answer: Ok(()),
    }
}

//! What is to become of each job, decided on what was found: no I/O.

use time::OffsetDateTime;

use super::found::Found;
use super::job::{Issue, Job, Revoke, Rotate};
use super::request::RefreshGrant;
use super::rounds::Rounds;
use super::step::{Basis, Step};
use crate::crypto::{random, sealed_pair, token_keys};
use crate::domain::client::ClientId;
use crate::domain::error::GrantError;
use crate::domain::grant::refresh_token::{self, Decision, RefreshTokenRequest};
use crate::domain::scope::Scope;
use crate::domain::token::{FamilyId, RotatedFrom, RoundId, TokenRecord, TokenValue};
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::domain::token_pair::TokenPair;

/// What is to become of one job.
pub(super) struct Plan {
    pub(super) job: Job,
    pub(super) step: Step,
    /// With what its ends are remembered.
    pub(super) round: RoundId,
}

/// Decides at one instant.
pub(super) struct Decider {
    pub(super) now: OffsetDateTime,
    /// How what it writes is kept.
    pub(super) storage: TokenStorage,
}

impl Decider {
    /// The plan for a job, whose ends go with others of the same attempt.
    pub(super) fn plan(&self, job: Job, found: &Found, rounds: &mut Rounds) -> Plan {
        let step = match &job {
            Job::Issue(call) => {
                let decided = self.issue(&call.request, found);
                decided.unwrap_or_else(Step::Refuse)
            }
            Job::Rotate(call) => {
                let decided = self.rotate(&call.request, found);
                decided.unwrap_or_else(Step::Refuse)
            }
            Job::Inspect(call) => Step::Tell(self.inspect(&call.request, found)),
            Job::Revoke(call) => revoke(&call.request, found).unwrap_or_else(Step::Refuse),
            Job::EndFamilies(call) => end_families(&call.request, found),
        };
        let round = rounds.of(&step.ended());
        Plan { job, step, round }
    }

    fn issue(&self, issue: &Issue, found: &Found) -> Result<Step, GrantError> {
        let (now, policy) = (self.now, issue.policy);
        let basis = Basis {
            user: issue.sessions_ended,
            client: client_of(&issue.client_id, issue.client_sessions_ended, found)?,
        };
        let only = issue.session();
        let replaced = only
            .as_ref()
            .and_then(|own| found.sessions.get(own))
            .cloned();
        let id = random::record_id(now);
        let family_end = policy.refresh_lifetime.map(|lifetime| now + lifetime);
        let pair = TokenPair {
            access_token: random::token_value(),
            refresh_token: issue.is_refreshable.then(random::token_value),
        };
        let record = TokenRecord {
            id: replaced.as_ref().map_or(id, |replaced| replaced.id),
            access_token: self.key_of(&pair.access_token),
            refresh_token: pair.refresh_token.as_ref().map(|own| self.key_of(own)),
            client_id: issue.client_id.clone(),
            user_id: issue.user.as_ref().map(|user| user.id),
            session: only.is_none().then_some(id),
            scope: issue.scope.clone(),
            refresh_scope: issue.scope.clone(),
            issued_at: now,
            expires_at: now + policy.access_lifetime,
            refresh_expires_at: policy.refresh_end(now, family_end),
            family_expires_at: family_end,
            family: id,
            rotated_from: None,
            replaced: replaced
                .as_ref()
                .map(|replaced| replaced.access_token.clone()),
        };
        let user = issue.user.clone();
        Ok(Step::put((record, pair), (user, Some(basis)), replaced))
    }

    fn rotate(&self, rotate: &Rotate, found: &Found) -> Result<Step, GrantError> {
        let request = &rotate.request;
        if let Some(authenticated) = rotate.client_sessions_ended {
            client_of(&request.client_id, authenticated, found)?;
        }
        let Some(record) = found.by_refresh.get(&request.refresh_token) else {
            let end = found
                .ends
                .get(&request.refresh_token)
                .ok_or(GrantError::InvalidGrant)?;
            return Ok(end_family(end.family, request, found));
        };
        let end = found.ends.get(&request.refresh_token);
        let is_answered = end.is_none_or(|end| end.is_answered);
        let decision = refresh_token::decide(request, record, is_answered, self.now)?;
        let user = || {
            let user = record.user_id.and_then(|id| found.users.get(&id));
            user.cloned().map(Some).ok_or(GrantError::InvalidGrant)
        };
        Ok(match decision {
            Decision::EndFamily => end_family(record.family, request, found),
            Decision::Rotate(scope) => {
                let rotated = self.rotated(record, scope, rotate);
                Step::put(rotated, (user()?, None), Some(record.clone()))
            }
            Decision::Repeat => {
                let pair = told_once_more(record, &rotate.presented);
                let pair = pair.ok_or(GrantError::InvalidGrant)?;
                Step::repeat((record.clone(), pair), user()?)
            }
        })
    }

    // A spent refresh token is none, though it may be repeated for a moment.
    fn inspect(&self, token: &TokenKey, found: &Found) -> Option<RefreshGrant> {
        let record = found.by_refresh.get(token)?;
        let is_live = record.refresh_token.as_ref() == Some(token)
            && record.refresh_expires_at.is_none_or(|end| end > self.now);
        let user = record.user_id.and_then(|id| found.users.get(&id))?;
        is_live.then(|| RefreshGrant {
            user: user.clone(),
            client_id: record.client_id.clone(),
            scope: record.refresh_scope.clone(),
            issued_at: record.issued_at,
            expires_at: record.refresh_expires_at,
        })
    }

    fn rotated(
        &self,
        record: &TokenRecord,
        scope: Scope,
        rotate: &Rotate,
    ) -> (TokenRecord, TokenPair) {
        let (now, policy) = (self.now, rotate.policy);
        let refresh_token = random::token_value();
        let refresh_key = self.key_of(&refresh_token);
        let pair = TokenPair {
            access_token: random::token_value(),
            refresh_token: Some(refresh_token),
        };
        let spent = record.refresh_token.clone();
        let sealed = match self.storage {
            TokenStorage::Plain => None,
            TokenStorage::Hashed => sealed_pair::seal(&pair, &rotate.presented),
        };
        // A token of Flask-Sentinel has no end of its own; from its first rotation on it has.
        let own_end = policy.refresh_lifetime.map(|lifetime| now + lifetime);
        let family_end = record.family_expires_at.or(own_end);
        let record = TokenRecord {
            access_token: self.key_of(&pair.access_token),
            refresh_token: Some(refresh_key),
            scope,
            issued_at: now,
            expires_at: now + policy.access_lifetime,
            refresh_expires_at: policy.refresh_end(now, family_end),
            family_expires_at: family_end,
            rotated_from: spent.map(|refresh_token| RotatedFrom {
                refresh_token,
                at: now,
                sealed,
            }),
            replaced: Some(record.access_token.clone()),
            ..record.clone()
        };
        (record, pair)
    }

    fn key_of(&self, token: &TokenValue) -> TokenKey {
        token_keys::key_of(token, self.storage)
    }
}

// The pair that a refresh token was spent for: the record has it, or the spent token opens it.
fn told_once_more(record: &TokenRecord, spent: &TokenValue) -> Option<TokenPair> {
    token_keys::plain_pair(record).or_else(|| {
        let sealed = record.rotated_from.as_ref()?.sealed.as_ref()?;
        sealed_pair::open(sealed, spent)
    })
}

// How often the client's tokens had been ended before anything is written for it.
fn client_of(id: &ClientId, authenticated: u64, found: &Found) -> Result<u64, GrantError> {
    let standing = found.clients.get(id);
    let standing = standing.filter(|client| client.confirms(authenticated));
    standing.ok_or(GrantError::InvalidClient)?;
    Ok(authenticated)
}

// All that descends from these logins, rotated in between or not.
fn end_families(families: &[FamilyId], found: &Found) -> Step {
    let of_families = families.iter().filter_map(|id| found.families.get(id));
    let unpublished = families.iter().flat_map(|id| found.unpublished_of(*id));
    Step::End {
        ended: of_families.flatten().cloned().collect(),
        token: None,
        unpublished: unpublished.collect(),
        answer: Ok(()),
    }
}

// A refresh token that another client presents tells nothing of its own client's.
fn end_family(family: FamilyId, request: &RefreshTokenRequest, found: &Found) -> Step {
    let mut ended = found.families.get(&family).cloned().unwrap_or_default();
    ended.retain(|record| record.client_id == request.client_id);
    if !ended.is_empty() {
        tracing::warn!(
            client.id = %request.client_id,
            "a spent refresh token was presented again; its family is ended"
        );
    }
    let token = request.refresh_token.clone();
    Step::End {
        ended,
        token: Some(token),
        unpublished: found.unpublished_of(family),
        answer: Err(GrantError::InvalidGrant),
    }
}

// A spent refresh token ends what descends from it: it may have been rotated a moment ago.
fn revoke(revoke: &Revoke, found: &Found) -> Result<Step, GrantError> {
    let token = &revoke.token;
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
    let is_foreign = |record: &TokenRecord| {
        let asks = revoke.client_id.as_ref();
        asks.is_some_and(|client_id| *client_id != record.client_id)
    };
    if ended.iter().any(is_foreign) {
        return Err(GrantError::ForeignToken);
    }
    // A repeat after a failure finds the pair gone, but Redis may still have its access token.
    let token = owed.map_or(token, |end| &end.access_token).clone();
    Ok(Step::End {
        ended,
        token: Some(token),
        unpublished: family.map_or(Vec::new(), |family| found.unpublished_of(family)),
        answer: Ok(()),
    })
}

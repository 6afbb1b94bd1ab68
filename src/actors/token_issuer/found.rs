//! What the truth has of the tokens and sessions that a batch of jobs is about.

use std::collections::{HashMap, HashSet};

use super::job::Job;
use crate::domain::client::ClientId;
use crate::domain::standing::Standing;
use crate::domain::token::{EndedToken, FamilyId, GrantUser, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::user::UserId;
use crate::stores::Truth;
use crate::stores::error::StoreError;

/// What is in the truth for the jobs of one attempt.
pub(super) struct Found {
    pub(super) sessions: HashMap<(ClientId, UserId), TokenRecord>,
    pub(super) by_refresh: HashMap<TokenKey, TokenRecord>,
    pub(super) by_access: HashMap<TokenKey, TokenRecord>,
    /// By refresh token, for those that are no record's present one.
    pub(super) ends: HashMap<TokenKey, EndedToken>,
    pub(super) families: HashMap<FamilyId, Vec<TokenRecord>>,
    /// Access tokens of families that are gone, which Redis may have yet.
    unpublished: HashMap<FamilyId, Vec<TokenKey>>,
    /// Those of refresh tokens that are enabled.
    pub(super) users: HashMap<UserId, GrantUser>,
    /// Those that ask for tokens.
    pub(super) clients: HashMap<ClientId, Standing>,
}

/// What is to be looked up.
#[derive(Default)]
struct Wanted {
    sessions: Vec<(ClientId, UserId)>,
    refresh_tokens: Vec<TokenKey>,
    access_tokens: Vec<TokenKey>,
    families: Vec<FamilyId>,
    clients: HashSet<ClientId>,
}

impl Wanted {
    fn of(jobs: &[Job]) -> Self {
        let mut wanted = Self::default();
        for job in jobs {
            match job {
                Job::Issue(call) => {
                    wanted.sessions.extend(call.request.session());
                    wanted.clients.insert(call.request.client_id.clone());
                }
                Job::Rotate(call) => {
                    let request = &call.request.request;
                    wanted.refresh_tokens.push(request.refresh_token.clone());
                    if call.request.client_sessions_ended.is_some() {
                        wanted.clients.insert(request.client_id.clone());
                    }
                }
                Job::Inspect(call) => wanted.refresh_tokens.push(call.request.clone()),
                Job::Revoke(call) => {
                    wanted.access_tokens.push(call.request.token.clone());
                    wanted.refresh_tokens.push(call.request.token.clone());
                }
                Job::EndFamilies(call) => wanted.families.extend(&call.request),
            }
        }
        wanted
    }
}

impl Found {
    /// Reads it, in as many round trips for many jobs as for one.
    pub(super) async fn read(truth: &Truth, jobs: &[Job]) -> Result<Self, StoreError> {
        let tokens = &truth.tokens;
        let Wanted {
            sessions,
            refresh_tokens,
            access_tokens,
            families,
            clients,
        } = Wanted::of(jobs);
        let clients: Vec<ClientId> = clients.into_iter().collect();
        // Who authenticated a client may have read it a second ago.
        let (by_session, by_refresh, by_access, standings) = futures_util::try_join!(
            tokens.find_by_session(&sessions),
            tokens.find_by_refresh_token(&refresh_tokens),
            tokens.find_by_access_token(&access_tokens),
            truth.clients.find_client_standings(&clients),
        )?;
        let by_refresh = present(refresh_tokens.iter().cloned(), by_refresh);
        let has_ended = |token: &TokenKey| {
            by_refresh
                .get(token)
                .is_none_or(|record| record.refresh_token.as_ref() != Some(token))
        };
        let ended: Vec<TokenKey> = refresh_tokens.into_iter().filter(has_ended).collect();
        let ends = tokens.find_ends(&ended).await?;
        let ends = present(ended, ends);
        let (users, families) = futures_util::try_join!(
            read_users(truth, by_refresh.values()),
            read_families(truth, families, &ends, &by_refresh),
        )?;
        Ok(Self {
            sessions: present(sessions, by_session),
            by_access: present(access_tokens, by_access),
            by_refresh,
            ends,
            families,
            unpublished: HashMap::new(),
            users,
            clients: present(clients, standings),
        })
    }

    /// Reads which ends of the families that are gone Redis may not have been told: the server that
    /// ended them had none.
    pub(super) async fn read_unpublished(&mut self, truth: &Truth) -> Result<(), StoreError> {
        let named = self.ends.values().map(|end| end.family);
        let gone: HashSet<FamilyId> = named
            .filter(|family| !self.families.contains_key(family))
            .collect();
        let gone: Vec<FamilyId> = gone.into_iter().collect();
        for end in truth.tokens.find_unpublished_ends(&gone).await? {
            let of_family = self.unpublished.entry(end.family).or_default();
            of_family.push(end.access_token);
        }
        Ok(())
    }

    /// Those access tokens of a family that is gone.
    pub(super) fn unpublished_of(&self, family: FamilyId) -> Vec<TokenKey> {
        self.unpublished.get(&family).cloned().unwrap_or_default()
    }
}

async fn read_users(
    truth: &Truth,
    records: impl Iterator<Item = &TokenRecord> + Send,
) -> Result<HashMap<UserId, GrantUser>, StoreError> {
    let ids: Vec<UserId> = records.filter_map(|record| record.user_id).collect();
    let users = truth.users.find_users_by_id(&ids).await?;
    let enabled = users.into_iter().flatten().filter(|user| !user.is_disabled);
    let named = enabled.map(|user| {
        let (id, username) = (user.id, user.username);
        (id, GrantUser { id, username })
    });
    Ok(named.collect())
}

// The families that are to be ended, and those that a spent refresh token may end.
async fn read_families(
    truth: &Truth,
    wanted: Vec<FamilyId>,
    ends: &HashMap<TokenKey, EndedToken>,
    by_refresh: &HashMap<TokenKey, TokenRecord>,
) -> Result<HashMap<FamilyId, Vec<TokenRecord>>, StoreError> {
    let is_spent =
        |(token, record): &(&TokenKey, &TokenRecord)| record.refresh_token.as_ref() != Some(*token);
    let spent = by_refresh
        .iter()
        .filter(is_spent)
        .map(|(_, record)| record.family);
    let of_ends = ends.values().map(|end| end.family);
    let families: HashSet<FamilyId> = of_ends.chain(spent).chain(wanted).collect();
    let families: Vec<FamilyId> = families.into_iter().collect();
    let mut found: HashMap<FamilyId, Vec<TokenRecord>> = HashMap::new();
    for record in truth.tokens.find_by_family(&families).await? {
        found.entry(record.family).or_default().push(record);
    }
    Ok(found)
}

fn present<K, V>(keys: impl IntoIterator<Item = K>, values: Vec<Option<V>>) -> HashMap<K, V>
where
    K: Eq + std::hash::Hash,
{
    let pairs = keys.into_iter().zip(values);
    pairs
        .filter_map(|(key, value)| value.map(|value| (key, value)))
        .collect()
}

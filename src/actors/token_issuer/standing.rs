//! Whether a pair that was just written may live.
//!
//! Who ends all tokens of a user or client counts that in its record first and then looks for the
//! pairs. So a pair that is not found then was written after the count, and whoever wrote it sees
//! the count here: none slips through, whatever the order.
//!
//! A refreshed pair needs no such look. That of its login was judged before its client had it. An end
//! that is counted later looks for what a refresh leaves as it is, the identifier and the login, and
//! both are conditional writes of one record: either the refresh comes first and the end finds its
//! pair, or the end comes first and the refresh finds nothing to replace.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::error::IssueError;
use super::flight::Flight;
use super::plan::Plan;
use super::step::{Basis, Put, Step};
use crate::domain::client::ClientId;
use crate::domain::error::GrantError;
use crate::domain::standing::Standing;
use crate::domain::user::UserId;
use crate::stores::error::StoreError;

/// What is to become of a plan that was carried out.
pub(super) enum Verdict {
    /// It stands.
    Good,
    /// What its pair was written on holds no more.
    Outdated(GrantError),
    /// The truth did not tell, and its pair must not be handed out unless it does.
    Unknown(IssueError),
}

/// The users and clients of the pairs of a round, as the truth has them after it.
struct Standings {
    users: HashMap<UserId, Standing>,
    clients: HashMap<ClientId, Standing>,
}

impl Flight {
    /// Asks the truth for the users and clients of the pairs of all logins, in as many round trips as
    /// for one.
    pub(super) async fn judge(&self, plans: &[Plan]) -> Vec<Verdict> {
        let of_logins: Vec<&Put> = plans
            .iter()
            .filter_map(of_login)
            .map(|(put, _)| put)
            .collect();
        let standings = self.standings(&of_logins).await.map_err(IssueError::from);
        let verdict = |plan: &Plan| match (of_login(plan), &standings) {
            (Some((put, basis)), Ok(standings)) => match standings.check(put, basis) {
                Ok(()) => Verdict::Good,
                Err(refusal) => Verdict::Outdated(refusal),
            },
            (Some(_), Err(error)) => Verdict::Unknown(error.clone()),
            (None, _) => Verdict::Good,
        };
        plans.iter().map(verdict).collect()
    }

    async fn standings(&self, of_logins: &[&Put]) -> Result<Standings, StoreError> {
        let records = || of_logins.iter().map(|put| &put.record);
        let users = unique(records().filter_map(|record| record.user_id));
        let clients = unique(records().map(|record| record.client_id.clone()));
        let (of_users, of_clients) = futures_util::try_join!(
            self.truth.users.find_user_standings(&users),
            self.truth.clients.find_client_standings(&clients),
        )?;
        Ok(Standings {
            users: present(users, of_users),
            clients: present(clients, of_clients),
        })
    }
}

impl Standings {
    fn check(&self, put: &Put, basis: Basis) -> Result<(), GrantError> {
        let enabled = self.clients.get(&put.record.client_id);
        let enabled = enabled.filter(|client| !client.is_disabled);
        let client = enabled.ok_or(GrantError::InvalidClient)?;
        let user = match (put.record.user_id, basis.user) {
            (Some(id), Some(earlier)) => {
                let user = self.users.get(&id);
                user.is_some_and(|user| user.confirms(earlier))
            }
            // A client's own token.
            _ => true,
        };
        if user && client.confirms(basis.client) {
            Ok(())
        } else {
            Err(GrantError::InvalidGrant)
        }
    }
}

/// A pair that was written for a login, or for a client itself.
fn of_login(plan: &Plan) -> Option<(&Put, Basis)> {
    match &plan.step {
        Step::Put(put) => Some((put, put.basis?)),
        Step::Refuse(_) | Step::Tell(_) | Step::Repeat(_) | Step::End { .. } => None,
    }
}

fn unique<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> Vec<K> {
    let keys: HashSet<K> = keys.collect();
    keys.into_iter().collect()
}

fn present<K: Eq + Hash>(keys: Vec<K>, found: Vec<Option<Standing>>) -> HashMap<K, Standing> {
    let found = keys.into_iter().zip(found);
    found.filter_map(|(key, one)| Some((key, one?))).collect()
}

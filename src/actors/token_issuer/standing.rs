//! Whether a pair that was just written may live.
//!
//! Who ends all tokens of a user or client counts that in its record first and then looks for the
//! pairs. So a pair that is not found then was written after the count, and whoever wrote it sees
//! the count here: none slips through, whatever the order.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::error::IssueError;
use super::flight::Flight;
use super::plan::Plan;
use super::step::{Put, Step};
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
    /// Asks the truth for the users and clients of all new pairs, in as many round trips as for one.
    pub(super) async fn judge(&self, plans: &[Plan]) -> Vec<Verdict> {
        let standings = self.standings(plans).await.map_err(IssueError::from);
        let verdict = |plan: &Plan| match (&plan.step, &standings) {
            (Step::Put(put), Ok(standings)) => match standings.check(put) {
                Ok(()) => Verdict::Good,
                Err(refusal) => Verdict::Outdated(refusal),
            },
            // A refreshed pair is found by its login, whenever it was written.
            (Step::Put(put), Err(error)) if put.record.rotated_from.is_none() => {
                Verdict::Unknown(error.clone())
            }
            _ => Verdict::Good,
        };
        plans.iter().map(verdict).collect()
    }

    async fn standings(&self, plans: &[Plan]) -> Result<Standings, StoreError> {
        let records = || plans.iter().filter_map(|plan| plan.step.new_record());
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
    fn check(&self, put: &Put) -> Result<(), GrantError> {
        let enabled = self.clients.get(&put.record.client_id);
        let enabled = enabled.filter(|client| !client.is_disabled);
        let client = enabled.ok_or(GrantError::InvalidClient)?;
        let user = match (put.record.user_id, put.basis.user) {
            (Some(id), Some(earlier)) => {
                let user = self.users.get(&id);
                user.is_some_and(|user| user.confirms(earlier))
            }
            // A client's own token.
            _ => true,
        };
        if user && client.confirms(put.basis.client) {
            Ok(())
        } else {
            Err(GrantError::InvalidGrant)
        }
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

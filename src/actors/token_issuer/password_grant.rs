//! `grant_type=password`: the way of a login to the round that issues its pair.

use std::time::Duration;

use tokio::time::Instant;

use super::TokenIssuer;
use super::error::IssueError;
use super::job::Job;
use super::request::IssuedTokens;
use crate::actors::batch::Haste;
use crate::actors::password_pool::fair_queue::Requester;
use crate::actors::throttle::Attempt;
use crate::domain::client::{Client, GrantType, SecretHash};
use crate::domain::grant::password::{self, PasswordRequest};
use crate::domain::network::Network;
use crate::domain::user::{Password, PasswordHash, User, UserId};

/// The longest a good login waits for a stronger hash of its password.
const STRENGTHEN_WITHIN: Duration = Duration::from_secs(1);
/// How long after its request a login still waits for it: the rest of its deadline is for the answer.
const STRENGTHENED_BY: Duration = Duration::from_secs(4);

impl TokenIssuer {
    pub(super) async fn issue_for_password(
        &self,
        grant: (&Client, &Option<SecretHash>, GrantType),
        request: PasswordRequest,
        (requester, network): (&Requester, Option<Network>),
        began: Instant,
    ) -> Result<IssuedTokens, IssueError> {
        request.check_lengths()?;
        grant.0.grant_scope(&request.scope)?;
        let haste = self.passwords.haste(requester);
        let (attempt, user) = self.begin_login(&request.username, network, haste).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_match = self
            .passwords
            .verify(request.password.clone(), hash.clone(), requester)
            .await?;
        let sessions_ended = user.as_ref().map_or(0, |user| user.sessions_ended);
        let user = match password::decide(user, is_match) {
            Ok(user) => user,
            Err(error) => {
                attempt.failed();
                return Err(error.into());
            }
        };
        attempt.succeeded();
        let id = user.id;
        let issue = |client: &Client| {
            let scope = client.grant_scope(&request.scope)?;
            Ok(self.issue_to(client, Some((user.clone(), sessions_ended)), scope))
        };
        let issued = self.ask_for(&self.logins, grant, issue, Job::Issue).await?;
        if let Some(weak) = hash.filter(|hash| self.passwords.is_weak(hash)) {
            let left = STRENGTHENED_BY.saturating_sub(began.elapsed());
            let is_in_time = !left.is_zero() && self.passwords.haste(requester) == Haste::AtOnce;
            if is_in_time {
                let strengthened = self.strengthen((id, weak), request.password, requester);
                let _next_time =
                    tokio::time::timeout(left.min(STRENGTHEN_WITHIN), strengthened).await;
            }
        }
        Ok(issued)
    }

    /// Counts the login while its user is looked up, so that it takes no longer.
    async fn begin_login(
        &self,
        username: &str,
        network: Option<Network>,
        haste: Haste,
    ) -> Result<(Attempt, Option<User>), IssueError> {
        let begin = async {
            let begun = self.throttle.begin_login(username, network, haste);
            begun.await.map_err(IssueError::from)
        };
        let find = async {
            let found = self.registry.find_user(username.to_owned(), haste);
            found.await.map_err(IssueError::from)
        };
        tokio::try_join!(begin, find)
    }

    // Once per user. A password that is too long for a new hash keeps its old one, and a failure
    // is left to the next login: this one is good.
    async fn strengthen(
        &self,
        (user, weak): (UserId, PasswordHash),
        password: Password,
        requester: &Requester,
    ) {
        let Ok(strong) = self.passwords.hash(password, requester).await else {
            return;
        };
        let replaced = self
            .registry
            .replace_password_hash(user, weak, strong)
            .await;
        if replaced.is_ok() {
            tracing::info!(user.id = %user, "a password hash was made anew with more rounds");
        }
    }
}

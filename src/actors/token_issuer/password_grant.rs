//! `grant_type=password`: the way of a login to the round that issues its pair.

use std::time::Duration;

use super::actor::TokenIssuerMessage;
use super::error::IssueError;
use super::job::Job;
use super::request::IssuedTokens;
use super::{DEADLINE, TokenIssuer};
use crate::actors::handle::within;
use crate::actors::password_pool::PasswordPoolError;
use crate::actors::password_pool::fair_queue::Requester;
use crate::domain::client::Client;
use crate::domain::grant::password::{self, PasswordRequest};
use crate::domain::user::{PasswordHash, UserId};

/// The longest a good login waits for a stronger hash of its password.
const STRENGTHEN_WITHIN: Duration = Duration::from_secs(1);

impl TokenIssuer {
    pub(super) async fn issue_for_password(
        &self,
        client: &Client,
        request: PasswordRequest,
        requester: &Requester,
    ) -> Result<IssuedTokens, IssueError> {
        request.check_lengths()?;
        let scope = client.grant_scope(&request.scope)?;
        let user = self.registry.find_user(request.username).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_match = self
            .passwords
            .verify(request.password.clone(), hash.clone(), requester)
            .await?;
        let user = password::decide(user, is_match)?;
        let id = user.id;
        let issue = self.issue_to(client, Some(user), scope);
        let message = |call| TokenIssuerMessage::Job(Job::Issue(call));
        let issued = self.logins.ask(issue, within(DEADLINE), message).await??;
        if let Some(weak) = hash.filter(|hash| self.passwords.is_weak(hash)) {
            let strong = self.passwords.hash(request.password, requester);
            let strengthened = self.strengthen(id, weak, strong);
            let _next_time = tokio::time::timeout(STRENGTHEN_WITHIN, strengthened).await;
        }
        Ok(issued)
    }

    // Once per user. A password that is too long for a new hash keeps its old one, and a failure
    // is left to the next login: this one is good.
    async fn strengthen(
        &self,
        user: UserId,
        weak: PasswordHash,
        strong: impl Future<Output = Result<PasswordHash, PasswordPoolError>>,
    ) {
        let Ok(strong) = strong.await else {
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

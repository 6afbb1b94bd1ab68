//! Who asks: a client is authenticated, and the round that issues for it holds it to that.

use std::sync::Arc;

use super::actor::TokenIssuerMessage;
use super::error::IssueError;
use super::job::{Asked, Issue, Job};
use super::request::{ClientCredentials, IssuedTokens};
use super::{DEADLINE, TokenIssuer};
use crate::actors::handle::{Handle, within};
use crate::domain::client::{Client, GrantType, SecretHash};
use crate::domain::error::GrantError;
use crate::domain::scope::Scope;
use crate::domain::token::GrantUser;

impl TokenIssuer {
    /// Finds the client and authenticates it (RFC 6749 §2.3).
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`]; [`IssueError::Overloaded`], [`IssueError::Unavailable`].
    pub async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Arc<Client>, IssueError> {
        let (secret, network) = (credentials.secret.as_ref(), credentials.network);
        let id = &credentials.client_id;
        let mut found = self.registry.find_client(id).await?;
        let is_good = |client: &Arc<Client>| client.authenticate(secret).is_ok();
        let is_refused = !found.as_ref().is_some_and(is_good);
        // Whatever others of its network have tried, a client that is known to be right goes on; its
        // secret cannot be guessed anyway.
        if is_refused && secret.is_some() {
            self.throttle.check_client(network)?;
        }
        if is_refused && found.is_some() {
            // It may have been enabled, or been given a secret, since it was read.
            found = self.registry.find_client_anew(id).await?;
        }
        let authenticated = found.and_then(|client| {
            let used = client.authenticate(secret).ok()?;
            Some((client, used))
        });
        let Some((client, used)) = authenticated else {
            if secret.is_some() {
                self.throttle.count_client_failure(network).await?;
            }
            return Err(GrantError::InvalidClient.into());
        };
        if let Some(secret) = used {
            let now = self.flight.clock.now();
            self.registry.note_secret_use(&client.id, secret, now);
        }
        Ok(client)
    }

    pub(super) async fn authorize(
        &self,
        credentials: &ClientCredentials,
        grant_type: GrantType,
    ) -> Result<Arc<Client>, IssueError> {
        let client = self.authenticate(credentials).await?;
        client.check_grant_type(grant_type)?;
        Ok(client)
    }

    pub(super) async fn issue_to_itself(
        &self,
        credentials: &ClientCredentials,
        scope: &Scope,
    ) -> Result<IssuedTokens, IssueError> {
        let grant_type = GrantType::ClientCredentials;
        let client = self.authorize(credentials, grant_type).await?;
        let issue = |client: &Client| {
            let scope = client.grant_scope(scope)?;
            Ok(self.issue_to(client, None, scope))
        };
        let grant = (&*client, &credentials.secret, grant_type);
        self.ask_for(&self.of_clients, grant, issue, Job::Issue)
            .await
    }

    // A client that has changed since it was authenticated, as when its tokens were ended because a
    // secret had leaked, is authenticated once more.
    pub(super) async fn ask_for<Q>(
        &self,
        lane: &Handle<TokenIssuerMessage>,
        (client, secret, grant_type): (&Client, &Option<SecretHash>, GrantType),
        request: impl Fn(&Client) -> Result<Q, GrantError>,
        job: impl Fn(Asked<Q, IssuedTokens>) -> Job,
    ) -> Result<IssuedTokens, IssueError> {
        let ask = |request| {
            let message = |call| TokenIssuerMessage::Job(job(call));
            lane.ask(request, within(DEADLINE), message)
        };
        match ask(request(client)?).await? {
            Err(IssueError::Rejected(GrantError::InvalidClient)) => {}
            answer => return answer,
        }
        let found = self.registry.find_client_now(&client.id).await?;
        let client = found.ok_or(GrantError::InvalidClient)?;
        client.authenticate(secret.as_ref())?;
        client.check_grant_type(grant_type)?;
        ask(request(&client)?).await?
    }

    // The user is who logged in, and how often the tokens of that user had been ended before.
    pub(super) fn issue_to(
        &self,
        client: &Client,
        user: Option<(GrantUser, u64)>,
        scope: Scope,
    ) -> Box<Issue> {
        let (user, sessions_ended) = user.unzip();
        let refreshes = client.check_grant_type(GrantType::RefreshToken).is_ok();
        Box::new(Issue {
            client_id: client.id.clone(),
            client_sessions_ended: client.sessions_ended,
            is_refreshable: user.is_some() && refreshes,
            user,
            sessions_ended,
            scope,
            sessions: client.policy.sessions,
            policy: self.policy.of_client(&client.policy),
        })
    }
}

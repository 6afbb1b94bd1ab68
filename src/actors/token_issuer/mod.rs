//! `TokenIssuer` guards the life of a token: it is the only writer of tokens. Shape: batcher; what
//! arrives during one round trip is written with the next as one. Deadline: five seconds from the
//! request to the answer. When it dies, queued callers get [`IssueError::Unavailable`] at once;
//! what was in the air is finished and answered.

pub mod error;
pub mod request;

mod actor;
mod flight;
mod found;
mod job;
mod password_grant;
mod plan;
mod publish;
mod sessions;
mod settlement;
mod standing;
mod step;

use std::sync::Arc;
use std::time::Duration;

use super::handle::{AskError, Handle, within};
use super::password_pool::PasswordPool;
use super::password_pool::fair_queue::Requester;
use super::supervisor::Child;
use super::throttle::Throttle;
use super::token_cache::TokenCache;
use super::user_registry::UserRegistry;
use crate::clock::Clock;
use crate::domain::client::{Client, GrantType};
use crate::domain::error::GrantError;
use crate::domain::grant::password::PasswordRequest;
use crate::domain::grant::refresh_token::RefreshTokenRequest;
use crate::domain::scope::Scope;
use crate::domain::token::{GrantUser, TokenValue};
use crate::stores::Truth;
use actor::{TokenIssuerActor, TokenIssuerMessage};
use error::IssueError;
use flight::Flight;
use job::{Issue, Job, Revoke, Rotate};
use request::{ClientCredentials, IssuedTokens, RefreshGrant, TokenPolicy, TokenRequest};

/// The longest a caller waits for a write.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most calls in flight.
const BOUND: usize = 1_024;

/// Issues, rotates and revokes tokens.
#[derive(Clone)]
pub struct TokenIssuer {
    logins: Handle<TokenIssuerMessage>,
    /// Of a bound of its own, as the next: a flood of logins must shed neither.
    refreshes: Handle<TokenIssuerMessage>,
    revocations: Handle<TokenIssuerMessage>,
    inspections: Handle<TokenIssuerMessage>,
    registry: UserRegistry,
    passwords: PasswordPool,
    policy: TokenPolicy,
    throttle: Throttle,
    flight: Flight,
}

impl TokenIssuer {
    /// The issuer before `truth`, and the actor to be supervised.
    pub fn new(
        (truth, caches): (Truth, TokenCache),
        (registry, passwords, throttle): (UserRegistry, PasswordPool, Throttle),
        policy: TokenPolicy,
        clock: Clock,
    ) -> (Self, Child) {
        let (handle, published) = Handle::new(BOUND);
        let flight = Flight {
            truth,
            caches,
            clock,
        };
        let child = Child::new(
            "token_issuer",
            (TokenIssuerActor, flight.clone()),
            (&handle, published),
        );
        (
            Self {
                refreshes: handle.beside(BOUND),
                revocations: handle.beside(BOUND),
                inspections: handle.beside(BOUND),
                logins: handle,
                registry,
                passwords,
                policy,
                throttle,
                flight,
            },
            child,
        )
    }

    /// Answers a token request.
    ///
    /// # Errors
    /// [`IssueError`]; after any but `Rejected` a repeat is safe.
    pub async fn issue(
        &self,
        credentials: ClientCredentials,
        request: TokenRequest,
    ) -> Result<IssuedTokens, IssueError> {
        // Each step has the deadline for itself; all of them together have no longer.
        tokio::time::timeout(DEADLINE, self.issue_unhurried(credentials, request))
            .await
            .unwrap_or_else(|_elapsed| Err(AskError::Timeout.into()))
    }

    async fn issue_unhurried(
        &self,
        credentials: ClientCredentials,
        request: TokenRequest,
    ) -> Result<IssuedTokens, IssueError> {
        match request {
            TokenRequest::Password {
                username,
                password,
                scope,
            } => {
                // Whoever would be refused later is so before a slow store is asked for anything;
                // known or not, so that it tells nothing of a user.
                let network = credentials.network;
                let requester = Requester::client(credentials.client_id.clone(), network);
                self.passwords.check_room(&requester)?;
                let client = self.authorize(&credentials, GrantType::Password).await?;
                let request = PasswordRequest {
                    client_id: credentials.client_id,
                    username,
                    password,
                    scope,
                };
                self.issue_for_password(&client, request, (&requester, network))
                    .await
            }
            TokenRequest::RefreshToken {
                refresh_token,
                scope,
            } => {
                let client = self
                    .authorize(&credentials, GrantType::RefreshToken)
                    .await?;
                let client_id = credentials.client_id;
                let refresh_token = refresh_token.ok_or(GrantError::InvalidGrant)?;
                let request = RefreshTokenRequest {
                    client_id,
                    refresh_token,
                    scope,
                };
                let policy = self.policy.of_client(&client.policy);
                let message = |call| TokenIssuerMessage::Job(Job::Rotate(call));
                self.refreshes
                    .ask(Rotate { request, policy }, within(DEADLINE), message)
                    .await?
            }
            TokenRequest::ClientCredentials { scope } => {
                let client = self
                    .authorize(&credentials, GrantType::ClientCredentials)
                    .await?;
                let scope = client.grant_scope(&scope)?;
                let issue = self.issue_to(&client, None, scope);
                let message = |call| TokenIssuerMessage::Job(Job::Issue(call));
                self.refreshes.ask(issue, within(DEADLINE), message).await?
            }
        }
    }

    // The user is who logged in, and how often the tokens of that user had been ended before.
    fn issue_to(
        &self,
        client: &Client,
        user: Option<(GrantUser, u64)>,
        scope: Scope,
    ) -> Box<Issue> {
        let (user, sessions_ended) = user.unzip();
        let refreshes = client.check_grant_type(GrantType::RefreshToken).is_ok();
        Box::new(Issue {
            client_id: client.id.clone(),
            is_refreshable: user.is_some() && refreshes,
            user,
            sessions_ended,
            scope,
            sessions: client.policy.sessions,
            policy: self.policy.of_client(&client.policy),
        })
    }

    /// Ends a token and its pair: in the truth, in Redis and in the local copy. An unknown token
    /// is no error (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`IssueError::Unavailable`] when a step could not be done: the token may live on until the
    /// call is repeated.
    pub async fn revoke(&self, token: TokenValue) -> Result<(), IssueError> {
        let client_id = None;
        self.end(Revoke { token, client_id }).await
    }

    /// Ends a token and its pair for the client that it was issued to (RFC 7009 §2.1). `None` is what
    /// cannot be one of ours: an unknown token, which is no error (§2.2).
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`], [`GrantError::ForeignToken`]; [`IssueError::Unavailable`] as
    /// [`TokenIssuer::revoke`].
    pub async fn revoke_own(
        &self,
        credentials: ClientCredentials,
        token: Option<TokenValue>,
    ) -> Result<(), IssueError> {
        let client = self.authenticate(&credentials).await?;
        let Some(token) = token else {
            return Ok(());
        };
        let client_id = Some(client.id.clone());
        self.end(Revoke { token, client_id }).await
    }

    /// What a refresh token stands for; `None` when it is unknown, spent, ended or expired, or its
    /// user or client is gone or disabled.
    ///
    /// # Errors
    /// [`IssueError::Overloaded`], [`IssueError::Unavailable`]: nothing is known of the token.
    pub async fn inspect(&self, token: TokenValue) -> Result<Option<RefreshGrant>, IssueError> {
        let message = |call| TokenIssuerMessage::Job(Job::Inspect(call));
        let inspected = self.inspections.ask(token, within(DEADLINE), message);
        let Some(grant) = inspected.await?? else {
            return Ok(None);
        };
        let client = self.registry.find_client(&grant.client_id).await?;
        let is_usable = client.is_some_and(|client| !client.is_disabled);
        Ok(is_usable.then_some(grant))
    }

    async fn end(&self, revoke: Revoke) -> Result<(), IssueError> {
        let message = |call| TokenIssuerMessage::Job(Job::Revoke(call));
        self.revocations
            .ask(revoke, within(DEADLINE), message)
            .await?
    }

    /// Finds the client and authenticates it (RFC 6749 §2.3).
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`]; [`IssueError::Overloaded`], [`IssueError::Unavailable`].
    pub async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Arc<Client>, IssueError> {
        let (secret, network) = (credentials.secret.as_ref(), credentials.network);
        // A client without a secret has nothing that could be guessed: whatever others of its network
        // have tried, it goes on.
        if secret.is_some() {
            self.throttle.check_client(network)?;
        }
        let id = &credentials.client_id;
        let mut found = self.registry.find_client(id).await?;
        let is_refused = |client: &Arc<Client>| client.authenticate(secret).is_err();
        if found.as_ref().is_some_and(is_refused) {
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

    async fn authorize(
        &self,
        credentials: &ClientCredentials,
        grant_type: GrantType,
    ) -> Result<Arc<Client>, IssueError> {
        let client = self.authenticate(credentials).await?;
        client.check_grant_type(grant_type)?;
        Ok(client)
    }
}

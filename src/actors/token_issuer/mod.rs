//! `TokenIssuer` guards the life of a token: it is the only writer of tokens. Shape: batcher
//! of a few rounds at a time, in which many requests share round trips. Deadline: five seconds from the
//! request to the answer. When it dies, queued callers get [`IssueError::Unavailable`] at once;
//! what was in the air is finished and answered.

pub mod error;
pub mod request;

mod actor;
mod clients;
mod departures;
mod flight;
mod found;
mod job;
mod password_grant;
mod plan;
mod publish;
mod rounds;
mod sessions;
mod settlement;
mod standing;
mod step;

use std::time::Duration;

use tokio::time::Instant;

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
use crate::domain::token::TokenValue;
use crate::stores::Truth;
use actor::{TokenIssuerActor, TokenIssuerMessage};
use error::IssueError;
use flight::Flight;
use job::{Job, Revoke, Rotate};
use request::{ClientCredentials, IssuedTokens, RefreshGrant, TokenPolicy, TokenRequest};
use settlement::Notes;

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
    /// Tokens of clients for themselves.
    of_clients: Handle<TokenIssuerMessage>,
    /// The end of all tokens of somebody.
    endings: Handle<TokenIssuerMessage>,
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
            notes: Notes::default(),
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
                of_clients: handle.beside(BOUND),
                endings: handle.beside(BOUND),
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
        in_time(self.issue_unhurried(credentials, request)).await
    }

    async fn issue_unhurried(
        &self,
        credentials: ClientCredentials,
        request: TokenRequest,
    ) -> Result<IssuedTokens, IssueError> {
        let began = Instant::now();
        let secret = credentials.secret.clone();
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
                let grant = (&*client, &secret, GrantType::Password);
                self.issue_for_password(grant, request, (&requester, network), began)
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
                let presented = refresh_token.ok_or(GrantError::InvalidGrant)?;
                let request = RefreshTokenRequest {
                    client_id,
                    refresh_token: self.flight.caches.key_of(&presented),
                    scope,
                };
                let rotate = |client: &Client| {
                    Ok(Rotate {
                        request: request.clone(),
                        presented: presented.clone(),
                        client_sessions_ended: secret.as_ref().map(|_| client.sessions_ended),
                        policy: self.policy.of_client(&client.policy),
                    })
                };
                let grant = (&*client, &secret, GrantType::RefreshToken);
                self.ask_for(&self.refreshes, grant, rotate, Job::Rotate)
                    .await
            }
            TokenRequest::ClientCredentials { scope } => {
                self.issue_to_itself(&credentials, &scope).await
            }
        }
    }

    /// Ends a token and its pair: in the truth, in Redis and in the local copy. An unknown token
    /// is no error (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`IssueError::Unavailable`] when a step could not be done: the token may live on until the
    /// call is repeated.
    pub async fn revoke(&self, token: &TokenValue) -> Result<(), IssueError> {
        let token = self.flight.caches.key_of(token);
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
        in_time(async {
            let client = self.authenticate(&credentials).await?;
            let Some(token) = token else {
                return Ok(());
            };
            let token = self.flight.caches.key_of(&token);
            let client_id = Some(client.id.clone());
            self.end(Revoke { token, client_id }).await
        })
        .await
    }

    /// What a refresh token stands for; `None` when it is unknown, spent, ended or expired, or its
    /// user or client is gone or disabled.
    ///
    /// # Errors
    /// [`IssueError::Overloaded`], [`IssueError::Unavailable`]: nothing is known of the token.
    pub async fn inspect(&self, token: &TokenValue) -> Result<Option<RefreshGrant>, IssueError> {
        let token = self.flight.caches.key_of(token);
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
}

/// Holds several steps to the longest that a caller waits: each has that deadline for itself, and all
/// of them together have no longer.
///
/// # Errors
/// [`IssueError::Unavailable`] when it has passed; nothing is known then.
pub async fn in_time<T, E: From<IssueError>>(
    steps: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(DEADLINE, steps)
        .await
        .unwrap_or_else(|_elapsed| Err(IssueError::from(AskError::Timeout).into()))
}

//! `ManagementActor` guards who may use the console, and hands on what the console and its API
//! ask for. Shape: sequencer, no I/O: the handle asks the registry, the password pool and the
//! token issuer. Deadline: five seconds. When it dies, callers get
//! [`ManagementError::Unavailable`] at once, and credentials found good before are looked at anew.

pub mod administration;
pub mod error;

mod actor;
mod client_secrets;

use std::time::Duration;

use crate::actors::handle::{Call, Handle, within};
use crate::actors::password_pool::PasswordPool;
use crate::actors::password_pool::fair_queue::Requester;
use crate::actors::supervisor::Child;
use crate::actors::supervisor::picture::{ActorPicture, Picture};
use crate::actors::throttle::Throttle;
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::user_registry::{Page, UserRegistry};
use crate::clock::Clock;
use crate::crypto::csrf::CsrfKey;
use crate::crypto::digest;
use crate::crypto::random;
use crate::crypto::secret::{self, ClientSecret};
use crate::domain::client::{Client, ClientId, ClientRegistration, ClientType};
use crate::domain::network::Network;
use crate::domain::token::TokenValue;
use crate::domain::user::{self, NewUser, Password, PasswordHash, User, UserId};
use actor::{ManagementActor, ManagementMessage};
use error::ManagementError;

/// The longest a caller waits for the actor itself.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most calls in flight.
const BOUND: usize = 64;

/// Who may use the console.
#[derive(Clone, Debug)]
pub struct ConsoleCredentials {
    /// The user name of Basic Auth.
    pub username: String,
    /// What the password is compared with.
    pub password: ConsolePassword,
}

/// A console password as the operator set it.
#[derive(Clone, Debug)]
pub enum ConsolePassword {
    /// The password itself.
    Plain(Password),
    /// Its bcrypt hash.
    Hash(PasswordHash),
}

/// What the console needs to know.
#[derive(Clone)]
pub struct ConsolePolicy {
    /// Who may use it; `None` lets nobody in.
    pub credentials: Option<ConsoleCredentials>,
    /// Fewest characters of a new password.
    pub min_password_characters: usize,
    /// Signs the console's forms; the same on every server of one store.
    pub csrf_key: CsrfKey,
}

/// Administers users, clients and tokens.
#[derive(Clone)]
pub struct Management {
    handle: Handle<ManagementMessage>,
    registry: UserRegistry,
    passwords: PasswordPool,
    issuer: TokenIssuer,
    throttle: Throttle,
    policy: ConsolePolicy,
    picture: Picture,
    clock: Clock,
}

impl Management {
    /// The management of what the other handles reach, and the actor to be supervised.
    pub fn new(
        (registry, passwords, issuer, throttle): (
            UserRegistry,
            PasswordPool,
            TokenIssuer,
            Throttle,
        ),
        policy: ConsolePolicy,
        picture: Picture,
        clock: Clock,
    ) -> (Self, Child) {
        let (handle, published) = Handle::new(BOUND);
        let child = Child::new("management", (ManagementActor, ()), (&handle, published));
        (
            Self {
                handle,
                registry,
                passwords,
                issuer,
                throttle,
                policy,
                picture,
                clock,
            },
            child,
        )
    }

    /// Whether anybody may use the console at all.
    pub fn has_credentials(&self) -> bool {
        self.policy.credentials.is_some()
    }

    /// Whether these are the console's credentials. Both parts are compared in constant time.
    ///
    /// # Errors
    /// [`ManagementError::Throttled`], [`ManagementError::Overloaded`],
    /// [`ManagementError::Unavailable`].
    pub async fn authenticate(
        &self,
        username: &str,
        password: Password,
        network: Option<Network>,
    ) -> Result<bool, ManagementError> {
        let Some(own) = &self.policy.credentials else {
            return Ok(false);
        };
        self.throttle.check_console(network)?;
        // A browser sends its credentials with each request: only new ones are an attempt. What was
        // found good for one network says nothing to another, which could try out any number here.
        let from = network.map(|network| network.octets()).unwrap_or_default();
        let digest = digest::of_parts(&[username.as_bytes(), password.as_bytes(), &from]);
        if self.ask(digest, ManagementMessage::IsVerified).await? {
            return Ok(true);
        }
        let attempt = self.throttle.begin_console_login(network).await?;
        let is_user = secret::equal(username.as_bytes(), own.username.as_bytes());
        let is_password = match &own.password {
            ConsolePassword::Plain(own) => secret::equal(password.as_bytes(), own.as_bytes()),
            ConsolePassword::Hash(hash) => {
                let requester = Requester::console(network);
                let verify = self
                    .passwords
                    .verify(password, Some(hash.clone()), &requester);
                match verify.await {
                    Ok(is_match) => is_match,
                    Err(error) => {
                        attempt.given_back();
                        return Err(error.into());
                    }
                }
            }
        };
        if is_user && is_password {
            attempt.succeeded();
            self.ask(digest, ManagementMessage::Verified).await?;
            Ok(true)
        } else {
            attempt.failed();
            Ok(false)
        }
    }

    /// A token for the forms of one page, bound to the console user.
    pub fn csrf_token(&self, username: &str) -> String {
        self.policy.csrf_key.issue(username, self.clock.now())
    }

    /// Whether a form's token is one of ours for this user, and not older than 12 hours.
    pub fn is_csrf_token(&self, token: &str, username: &str) -> bool {
        self.policy
            .csrf_key
            .check(token, username, self.clock.now())
    }

    /// The live picture of the supervision tree.
    pub fn actors(&self) -> Vec<ActorPicture> {
        self.picture.actors()
    }

    /// Up to `limit` users after `after`, by identifier.
    ///
    /// # Errors
    /// [`ManagementError::Unavailable`].
    pub async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<User>, ManagementError> {
        Ok(self.registry.list_users(after, limit).await?)
    }

    /// Up to `limit` clients after `after`, by identifier.
    ///
    /// # Errors
    /// [`ManagementError::Unavailable`].
    pub async fn list_clients(
        &self,
        after: Option<ClientId>,
        limit: usize,
    ) -> Result<Page<Client>, ManagementError> {
        Ok(self.registry.list_clients(after, limit).await?)
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`ManagementError`], each.
    pub async fn add_user(
        &self,
        username: String,
        password: Password,
    ) -> Result<User, ManagementError> {
        password.check_new(self.policy.min_password_characters, &username)?;
        self.add_user_with_any_password(username, password).await
    }

    /// Makes a user without the rule on new passwords, for the user of `sentinel dev`.
    ///
    /// # Errors
    /// [`ManagementError`], each.
    pub async fn add_user_with_any_password(
        &self,
        username: String,
        password: Password,
    ) -> Result<User, ManagementError> {
        user::check_username(&username)?;
        let requester = Requester::administrator();
        let password_hash = self.passwords.hash(password, &requester).await?;
        let new = NewUser {
            username,
            password_hash,
            created_at: self.clock.now(),
        };
        let user = self.registry.add_user(new).await?;
        tracing::info!(user.id = %user.id, "a user was made");
        Ok(user)
    }

    /// Registers a client. Its secret, if it has one, is told here once and never again.
    ///
    /// # Errors
    /// [`ManagementError`], each.
    pub async fn add_client(
        &self,
        registration: ClientRegistration,
    ) -> Result<(Client, Option<ClientSecret>), ManagementError> {
        registration.check()?;
        let secret = match registration.client_type {
            ClientType::Public => None,
            ClientType::Confidential => Some(random::client_secret()),
        };
        let client = Client {
            id: random::client_id(),
            client_type: registration.client_type,
            name: registration.name,
            allowed_grant_types: registration.allowed_grant_types,
            allowed_scope: registration.allowed_scope,
            default_scope: registration.default_scope,
            policy: registration.policy,
            secrets: secret.iter().map(|own| self.new_secret(own)).collect(),
            is_disabled: false,
            sessions_ended: 0,
            created_at: self.clock.now(),
        };
        self.registry.add_client(client.clone()).await?;
        tracing::info!(client.id = %client.id, "a client was made");
        Ok((client, secret))
    }

    /// Ends a token and its pair. An unknown token is no error.
    ///
    /// # Errors
    /// [`ManagementError::Overloaded`], [`ManagementError::Unavailable`].
    pub async fn revoke(&self, token: &str) -> Result<(), ManagementError> {
        match TokenValue::parse(token) {
            Some(token) => Ok(self.issuer.revoke(&token).await?),
            None => Ok(()),
        }
    }

    async fn ask<A>(
        &self,
        digest: [u8; 32],
        message: impl FnOnce(Call<[u8; 32], A>) -> ManagementMessage,
    ) -> Result<A, ManagementError> {
        Ok(self.handle.ask(digest, within(DEADLINE), message).await?)
    }
}

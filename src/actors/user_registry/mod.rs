//! `UserRegistry` guards the users and clients in the store. Shape: batcher; what arrives during
//! one round trip goes with the next, users that log in by one query, and a login that waits long for
//! bcrypt anyway may wait for others first. Logins, made-up clients, known clients, the console and who
//! asks whether the store is up each have a bound of their own, so that a flood of one sheds none of
//! the others. A user is read at each login, a client is kept for at most a second, an absence is not
//! kept. Deadline: the caller's, within five seconds. When it dies, queued callers get
//! [`RegistryError::Unavailable`] at once; what was in the air is answered.

mod actor;
mod administration;
mod job;
mod reach;
mod secrets;
mod users;

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use thiserror::Error;
use tokio::time::Instant;

use crate::actors::batch::Haste;
use crate::actors::handle::{AskError, Handle, within};
use crate::actors::supervisor::Child;
use crate::domain::client::{Client, ClientId};
use crate::domain::client_secret::SecretId;
use crate::domain::user::{NewUser, PasswordHash, User, UserId};
use crate::stores::Truth;
use crate::stores::error::{InsertError, StoreError};
use actor::{UserRegistryActor, UserRegistryMessage};
use job::{Asked, Job};
use reach::Reach;

/// How long a client that was read may be believed.
const CLIENT_KEPT_FOR: Duration = Duration::from_secs(1);
/// How old what was read of a client may be for it to be refused.
const REFUSALS_REST_ON: Duration = Duration::from_millis(100);
/// Most clients kept at a time.
const CLIENTS_KEPT: usize = 1_024;
/// Most logins in flight.
const BOUND: usize = 1_024;
/// Most look-ups in flight of clients that nobody has found yet.
const STRANGERS_BOUND: usize = 256;
/// Most calls in flight that refresh what is known of a client.
const KNOWN_BOUND: usize = 1_024;
/// Most that wait at a time to hear whether the truth is up.
const PROBES_BOUND: usize = 1_024;
/// Most calls of the console in flight.
const CONSOLE_BOUND: usize = 256;
/// The longest a caller waits.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why the registry could not do what was asked.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Another record has the name.
    #[error("the name is taken")]
    Taken,
    /// Too much is in flight; nothing was begun.
    #[error("too many users and clients are asked for")]
    Overloaded,
    /// The store or the actor is not available; nothing is known of a write.
    #[error("users and clients cannot be read or written now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds, creates and lists users and clients.
#[derive(Clone)]
pub struct UserRegistry {
    logins: Handle<UserRegistryMessage>,
    strangers: Handle<UserRegistryMessage>,
    known: Handle<UserRegistryMessage>,
    console: Handle<UserRegistryMessage>,
    reach: Reach,
    clients: Arc<Cache<ClientId, (Arc<Client>, Instant)>>,
    /// When a use of a secret was last noted.
    noted_uses: Arc<Cache<(ClientId, SecretId), Instant>>,
}

/// One page of a list, and how many records there are in all.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The records of this page.
    pub items: Vec<T>,
    /// Whether others follow.
    pub has_more: bool,
    /// How many there are on all pages.
    pub total: u64,
}

impl UserRegistry {
    /// The registry over `truth`, and the actor to be supervised.
    pub fn new(truth: Truth) -> (Self, Child) {
        let (logins, published) = Handle::new(BOUND);
        let child = Child::new(
            "user_registry",
            (UserRegistryActor, truth),
            (&logins, published),
        );
        (
            Self {
                strangers: logins.beside(STRANGERS_BOUND),
                known: logins.beside(KNOWN_BOUND),
                console: logins.beside(CONSOLE_BOUND),
                reach: Reach::new(logins.beside(PROBES_BOUND)),
                logins,
                clients: Arc::new(Cache::new(CLIENTS_KEPT)),
                noted_uses: Arc::new(Cache::new(CLIENTS_KEPT)),
            },
            child,
        )
    }

    /// The user of this name, as the store has it now, or a tenth of a second later where there is no
    /// haste.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn find_user(
        &self,
        username: String,
        haste: Haste,
    ) -> Result<Option<User>, RegistryError> {
        find_user(&self.logins, username, haste).await
    }

    /// The client of this identifier, as the store had it within the last second.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn find_client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, RegistryError> {
        self.find_client_of(id, CLIENT_KEPT_FOR).await
    }

    // As it was read less than so long ago.
    async fn find_client_of(
        &self,
        id: &ClientId,
        oldest: Duration,
    ) -> Result<Option<Arc<Client>>, RegistryError> {
        let known = self.clients.get(id);
        let is_known = known.is_some();
        if let Some((client, _)) = known.filter(|(_, at)| at.elapsed() < oldest) {
            return Ok(Some(client));
        }
        let asked_at = Instant::now();
        let found = if is_known {
            ask(&self.known, id.clone(), Job::FindKnownClient).await?
        } else {
            ask(&self.strangers, id.clone(), Job::FindClient).await?
        };
        let found = found.map(Arc::new);
        match &found {
            Some(client) => self
                .clients
                .insert(id.clone(), (Arc::clone(client), asked_at)),
            None => drop(self.clients.remove(id)),
        }
        Ok(found)
    }

    /// The client of this identifier, as the store had it within the last tenth of a second: for one
    /// that was refused by what is kept of it. Its secrets may just have been rotated.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn find_client_anew(
        &self,
        id: &ClientId,
    ) -> Result<Option<Arc<Client>>, RegistryError> {
        self.find_client_of(id, REFUSALS_REST_ON).await
    }

    /// The client of this identifier, as the store has it now: for one that has changed since it was
    /// authenticated.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn find_client_now(
        &self,
        id: &ClientId,
    ) -> Result<Option<Arc<Client>>, RegistryError> {
        self.find_client_of(id, Duration::ZERO).await
    }

    /// Stores a new user.
    ///
    /// # Errors
    /// [`RegistryError`], each.
    pub async fn add_user(&self, user: NewUser) -> Result<User, RegistryError> {
        ask(&self.console, user, Job::AddUser).await
    }

    /// Puts a new hash of the same password in the place of `old`.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn replace_password_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), RegistryError> {
        ask(&self.logins, (id, old, new), Job::ReplacePasswordHash).await
    }

    /// Stores a new client.
    ///
    /// # Errors
    /// [`RegistryError`], each.
    pub async fn add_client(&self, client: Client) -> Result<(), RegistryError> {
        ask(&self.console, client, Job::AddClient).await
    }

    /// Up to `limit` users after `after`, by identifier.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<User>, RegistryError> {
        ask(&self.console, (after, limit), Job::ListUsers).await
    }

    /// Up to `limit` clients after `after`, by identifier.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn list_clients(
        &self,
        after: Option<ClientId>,
        limit: usize,
    ) -> Result<Page<Client>, RegistryError> {
        ask(&self.console, (after, limit), Job::ListClients).await
    }

    /// Whether the truth can be reached, as it was found within the last quarter of a second.
    pub async fn is_reachable(&self) -> bool {
        self.reach.is_up().await
    }
}

async fn find_user(
    lane: &Handle<UserRegistryMessage>,
    username: String,
    haste: Haste,
) -> Result<Option<User>, RegistryError> {
    let request = (username, haste);
    lane.ask(request, within(DEADLINE), UserRegistryMessage::FindUser)
        .await?
}

async fn ask<Q, A>(
    lane: &Handle<UserRegistryMessage>,
    request: Q,
    job: impl FnOnce(Asked<Q, A>) -> Job,
) -> Result<A, RegistryError> {
    let message = |call| UserRegistryMessage::Job(Box::new(job(call)));
    lane.ask(request, within(DEADLINE), message).await?
}

impl From<AskError> for RegistryError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Gone | AskError::Panicked | AskError::Timeout => {
                Self::Unavailable(error.into())
            }
        }
    }
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<InsertError> for RegistryError {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::Taken => Self::Taken,
            InsertError::Store(error) => error.into(),
        }
    }
}

//! `UserRegistry` guards the users and clients in the store. Shape: batcher; what arrives during
//! one round trip goes with the next. A user is read at each login, a client is kept for at most
//! a second, an absence is not kept. Deadline: the caller's, within five seconds. When it dies,
//! queued callers get [`RegistryError::Unavailable`] at once; what was in the air is answered.

mod job;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use quick_cache::sync::Cache;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use thiserror::Error;
use tokio::time::Instant;

use crate::actors::batch::{Batch, Landed, launch};
use crate::actors::handle::{AskError, Handle, within};
use crate::actors::supervisor::{Child, Fault};
use crate::domain::client::{Client, ClientId};
use crate::domain::user::{NewUser, PasswordHash, User, UserId};
use crate::stores::Truth;
use crate::stores::error::{InsertError, StoreError};
use job::{Asked, Job};

/// How long a client that was read may be believed.
const CLIENT_KEPT_FOR: Duration = Duration::from_secs(1);
/// Most clients kept at a time.
const CLIENTS_KEPT: usize = 1_024;
/// Most calls in flight.
const BOUND: usize = 1_024;
/// The longest a caller waits.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why the registry could not do what was asked.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Another record has the name.
    #[error("the name is taken")]
    Taken,
    /// The store or the actor is not available; nothing is known of a write.
    #[error("users and clients cannot be read or written now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds, creates and lists users and clients.
#[derive(Clone)]
pub struct UserRegistry {
    handle: Handle<UserRegistryMessage>,
    clients: Arc<Cache<ClientId, (Arc<Client>, Instant)>>,
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
        let (handle, published) = Handle::new(BOUND);
        let child = Child::new(
            "user_registry",
            (UserRegistryActor, truth),
            (&handle, published),
        );
        (
            Self {
                handle,
                clients: Arc::new(Cache::new(CLIENTS_KEPT)),
            },
            child,
        )
    }

    /// The user of this name, as the store has it now.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn find_user(&self, username: String) -> Result<Option<User>, RegistryError> {
        self.ask(username, Job::FindUser).await
    }

    /// The client of this identifier, as the store had it within the last second.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn find_client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, RegistryError> {
        if let Some((client, read_at)) = self.clients.get(id)
            && read_at.elapsed() < CLIENT_KEPT_FOR
        {
            return Ok(Some(client));
        }
        let asked_at = Instant::now();
        let message = |call| Job::FindClient(call);
        let found = self.ask(id.clone(), message).await?.map(Arc::new);
        match &found {
            Some(client) => self
                .clients
                .insert(id.clone(), (Arc::clone(client), asked_at)),
            None => drop(self.clients.remove(id)),
        }
        Ok(found)
    }

    /// Stores a new user.
    ///
    /// # Errors
    /// [`RegistryError::Taken`], [`RegistryError::Unavailable`].
    pub async fn add_user(&self, user: NewUser) -> Result<User, RegistryError> {
        self.ask(user, Job::AddUser).await
    }

    /// Puts a new hash of the same password in the place of `old`.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn replace_password_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), RegistryError> {
        self.ask((id, old, new), Job::ReplacePasswordHash).await
    }

    /// Stores a new client.
    ///
    /// # Errors
    /// [`RegistryError::Taken`], [`RegistryError::Unavailable`].
    pub async fn add_client(&self, client: Client) -> Result<(), RegistryError> {
        self.ask(client, Job::AddClient).await
    }

    /// Up to `limit` users after `after`, by identifier.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<User>, RegistryError> {
        self.ask((after, limit), Job::ListUsers).await
    }

    /// Up to `limit` clients after `after`, by identifier.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn list_clients(
        &self,
        after: Option<ClientId>,
        limit: usize,
    ) -> Result<Page<Client>, RegistryError> {
        self.ask((after, limit), Job::ListClients).await
    }

    /// Whether the truth can be reached now.
    pub async fn is_reachable(&self) -> bool {
        self.ask((), Job::Ping).await.is_ok()
    }

    async fn ask<Q, A>(
        &self,
        request: Q,
        job: impl FnOnce(Asked<Q, A>) -> Job,
    ) -> Result<A, RegistryError> {
        let message = |call| UserRegistryMessage::Job(Box::new(job(call)));
        self.handle.ask(request, within(DEADLINE), message).await?
    }
}

impl From<AskError> for RegistryError {
    fn from(error: AskError) -> Self {
        Self::Unavailable(error.into())
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

enum UserRegistryMessage {
    Job(Box<Job>),
    Landed(Landed<()>),
    PagesLanded(Landed<()>),
    Fault,
}

impl Fault for UserRegistryMessage {
    fn fault() -> Self {
        Self::Fault
    }
}

#[derive(Clone)]
struct UserRegistryActor;

struct State {
    truth: Truth,
    jobs: Batch<Job>,
    /// Pages for the console may take long; nobody's login waits for them.
    pages: Batch<Job>,
}

impl Actor for UserRegistryActor {
    type Msg = UserRegistryMessage;
    type State = State;
    type Arguments = Truth;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        truth: Truth,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State {
            truth,
            jobs: Batch::new(),
            pages: Batch::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            UserRegistryMessage::Job(job) if job.is_page() => state.pages.push(*job),
            UserRegistryMessage::Job(job) => state.jobs.push(*job),
            UserRegistryMessage::Landed(landed) => state.jobs.land(landed)?,
            UserRegistryMessage::PagesLanded(landed) => state.pages.land(landed)?,
            #[expect(clippy::panic, reason = "asked for by a test of supervision")]
            UserRegistryMessage::Fault => panic!("fault injected"),
        }
        state.take_off(&myself);
        Ok(())
    }
}

impl State {
    fn take_off(&mut self, myself: &ActorRef<UserRegistryMessage>) {
        if let Some(jobs) = self.jobs.take_off(usize::MAX) {
            let flight = run_all(self.truth.clone(), jobs);
            launch(myself.clone(), flight, UserRegistryMessage::Landed);
        }
        if let Some(pages) = self.pages.take_off(usize::MAX) {
            let flight = run_all(self.truth.clone(), pages);
            launch(myself.clone(), flight, UserRegistryMessage::PagesLanded);
        }
    }
}

async fn run_all(truth: Truth, jobs: Vec<Job>) {
    join_all(jobs.into_iter().map(|job| job.run(&truth))).await;
}

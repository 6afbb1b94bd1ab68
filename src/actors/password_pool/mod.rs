//! `PasswordPool` guards the machine's processors: a bcrypt thread per core, and a bounded queue
//! before them that is fair to clients and networks. Shape: pool. Deadline: the caller's; a login
//! whose caller has left or whose deadline has passed is not hashed, and one whose turn would come
//! too late is refused at once. When the actor dies, what is queued or being hashed goes on, and
//! callers whose message was still in the mailbox get [`PasswordPoolError::Gone`] at once.

pub mod fair_queue;

mod courtesy;
mod job;
mod pace;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use bcrypt_lanes::MAX_LANES;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use thiserror::Error;

use self::fair_queue::Requester;
use self::job::{Job, Verify};
use self::workers::Workers;
pub use self::workers::is_hashing;
use super::batch::{COMPANY, Haste};
use super::handle::{AskError, Handle, within};
use super::supervisor::Child;
use super::supervisor::surrounded::Kind;
use crate::crypto::password;
use crate::domain::user::{Password, PasswordHash};

/// The longest a login waits for its hash, queue included.
const DEADLINE: Duration = Duration::from_secs(5);
/// A login whose turn comes so late has time before it enters the queue, and what is in the queue is
/// enough for the threads until then, if its callers stay.
const LONG: Duration = COMPANY.saturating_mul(3);
/// Most calls on their way to the queue. It decides who is refused, so all that come at once must
/// reach it; each is there within microseconds.
const ARRIVING: usize = 16_384;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// Log2 of the bcrypt rounds of new hashes.
    pub cost: u32,
    /// Logins that may wait for a worker.
    pub queue: usize,
    /// Worker threads: as many as the machine has cores.
    pub workers: usize,
    /// Hashes that a worker computes at once, at most 6; with 0 the `bcrypt` library computes one.
    pub lanes: usize,
}

impl PasswordPolicy {
    /// Hashes that a thread computes at once.
    fn lanes_each(&self) -> usize {
        self.lanes.clamp(1, MAX_LANES)
    }

    /// Hashes that are computed at once.
    fn at_once(&self) -> usize {
        self.workers * self.lanes_each()
    }
}

/// Why a password was not hashed.
#[derive(Debug, Error)]
pub enum PasswordPoolError {
    /// The queue is full, or longer than the deadline; no hash was begun.
    #[error("too many logins wait for a bcrypt worker")]
    Overloaded,
    /// The pool is down or did not answer in time.
    #[error("the password pool did not answer")]
    Gone(#[source] AskError),
    /// The password cannot be hashed.
    #[error("the password cannot be hashed")]
    Unhashable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Compares and hashes passwords.
#[derive(Clone)]
pub struct PasswordPool {
    handle: Handle<PasswordPoolMessage>,
    dummy: PasswordHash,
    policy: PasswordPolicy,
    workers: Arc<Workers>,
}

impl PasswordPool {
    /// The pool with its worker threads started, and the actor to be supervised.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(policy: PasswordPolicy) -> std::io::Result<(Self, Child)> {
        let (handle, published) = Handle::new(policy.queue + policy.at_once() + ARRIVING);
        let dummy = password::dummy(policy.cost);
        let workers = Arc::new(Workers::start(policy, dummy.clone())?);
        let arguments = Arguments {
            workers: Arc::clone(&workers),
        };
        let actor = (PasswordPoolActor, arguments);
        let child = Child::new("password_pool", actor, (&handle, published));
        Ok((
            Self {
                handle,
                dummy,
                policy,
                workers,
            },
            child,
        ))
    }

    /// Refuses at once what [`PasswordPool::verify`] would refuse now, before anything is done for
    /// it. That there is room is no promise.
    ///
    /// # Errors
    /// [`PasswordPoolError::Overloaded`].
    pub fn check_room(&self, requester: &Requester) -> Result<(), PasswordPoolError> {
        if !self.workers.has_room(requester) {
            return Err(self.handle.shed().into());
        }
        self.check_wait(requester)
    }

    /// Whether what a login needs before [`PasswordPool::verify`] must be there at once, or the queue
    /// is so long that it would wait there for longer anyway.
    pub fn haste(&self, requester: &Requester) -> Haste {
        if self.workers.until_turn(requester) < LONG {
            Haste::AtOnce
        } else {
            Haste::InCompany
        }
    }

    /// Compares a password with a stored hash. Without a hash, or with one that cannot be read,
    /// the same time is spent and the answer is no.
    ///
    /// # Errors
    /// [`PasswordPoolError::Overloaded`], [`PasswordPoolError::Gone`].
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        requester: &Requester,
    ) -> Result<bool, PasswordPoolError> {
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        self.check_wait(requester)?;
        let requester = requester.clone();
        let message = |call| PasswordPoolMessage::Job(requester, Job::Verify(call));
        let request = Verify { password, hash };
        self.handle.ask(request, within(DEADLINE), message).await?
    }

    /// Whether a hash was made with fewer rounds than new ones are.
    pub fn is_weak(&self, hash: &PasswordHash) -> bool {
        password::cost_of(hash).is_some_and(|cost| cost < self.policy.cost)
    }

    /// Makes a hash for a new password.
    ///
    /// # Errors
    /// [`PasswordPoolError`], each.
    pub async fn hash(
        &self,
        password: Password,
        requester: &Requester,
    ) -> Result<PasswordHash, PasswordPoolError> {
        self.check_wait(requester)?;
        let requester = requester.clone();
        let message = |call| PasswordPoolMessage::Job(requester, Job::Hash(call));
        self.handle.ask(password, within(DEADLINE), message).await?
    }

    /// Refuses what would wait for longer than it may: who is told so at once can try again, and who
    /// waits in vain keeps others out of the queue.
    fn check_wait(&self, requester: &Requester) -> Result<(), PasswordPoolError> {
        if self.workers.wait(requester) > DEADLINE {
            return Err(self.handle.shed().into());
        }
        Ok(())
    }
}

impl From<AskError> for PasswordPoolError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Gone | AskError::Panicked | AskError::Timeout => Self::Gone(error),
        }
    }
}

enum PasswordPoolMessage {
    Job(Requester, Job),
}

impl Kind for PasswordPoolMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Job(_, Job::Verify(_)) => "verify",
            Self::Job(_, Job::Hash(_)) => "hash",
        }
    }
}

#[derive(Clone)]
struct PasswordPoolActor;

#[derive(Clone)]
struct Arguments {
    workers: Arc<Workers>,
}

impl Actor for PasswordPoolActor {
    type Msg = PasswordPoolMessage;
    type State = Arguments;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        arguments: Arguments,
    ) -> Result<Arguments, ActorProcessingErr> {
        Ok(arguments)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Arguments,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PasswordPoolMessage::Job(requester, job) => state.workers.push(requester, job),
        }
        Ok(())
    }
}

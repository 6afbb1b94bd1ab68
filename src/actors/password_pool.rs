//! `PasswordPool` guards the machine's processors: one bcrypt worker thread per core and a bounded
//! queue before them. Shape: pool. Deadline: the caller's; a login whose caller has left or whose
//! deadline has passed is not hashed, and one whose turn would come too late is refused at once.
//! When the actor dies, what is queued or being hashed goes on, and callers whose message was still
//! in the mailbox get [`PasswordPoolError::Gone`] at once.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use thiserror::Error;

use super::handle::{AskError, Call, Handle, within};
use super::supervisor::Child;
use super::supervisor::surrounded::Kind;
use crate::crypto::password::{self, Comparison};
use crate::domain::user::{Password, PasswordHash};
use crate::telemetry::metrics::{CORRUPT_PASSWORD_HASHES, PASSWORD_HASHES};

/// The longest a login waits for its hash, queue included.
const DEADLINE: Duration = Duration::from_secs(5);

/// How passwords are hashed.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// Log2 of the bcrypt rounds of new hashes.
    pub cost: u32,
    /// Logins that may wait for a worker.
    pub queue: usize,
    /// Worker threads: as many as the machine has cores.
    pub workers: usize,
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
    pace: Arc<Pace>,
}

/// How long a hash took lately.
#[derive(Debug, Default)]
struct Pace {
    micros: AtomicU64,
}

impl PasswordPool {
    /// The pool with its worker threads started, and the actor to be supervised.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn new(policy: PasswordPolicy) -> std::io::Result<(Self, Child)> {
        let (handle, published) = Handle::new(policy.queue + policy.workers);
        let dummy = password::dummy(policy.cost);
        let pace = Arc::new(Pace::default());
        let arguments = Arguments {
            workers: start_workers(policy, &dummy, &pace)?,
        };
        let actor = (PasswordPoolActor, arguments);
        let child = Child::new("password_pool", actor, (&handle, published));
        Ok((
            Self {
                handle,
                dummy,
                policy,
                pace,
            },
            child,
        ))
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
    ) -> Result<bool, PasswordPoolError> {
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let request = (password, hash);
        self.check_wait()?;
        let message = |call| PasswordPoolMessage::Job(Job::Verify(call));
        Ok(self.handle.ask(request, within(DEADLINE), message).await?)
    }

    /// Whether a hash was made with fewer rounds than new ones are.
    pub fn is_weak(&self, hash: &PasswordHash) -> bool {
        password::cost_of(hash).is_some_and(|cost| cost < self.policy.cost)
    }

    /// Makes a hash for a new password.
    ///
    /// # Errors
    /// [`PasswordPoolError`], each.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordPoolError> {
        self.check_wait()?;
        let message = |call| PasswordPoolMessage::Job(Job::Hash(call));
        self.handle.ask(password, within(DEADLINE), message).await?
    }
}

impl PasswordPool {
    /// Refuses what would wait for longer than it may: who is told so at once can try again, and who
    /// waits in vain keeps others out of the queue.
    fn check_wait(&self) -> Result<(), PasswordPoolError> {
        let bound = self.policy.queue + self.policy.workers;
        let waiting = bound - self.handle.permits().available_permits();
        if self.pace.wait(waiting, self.policy.workers) > DEADLINE {
            return Err(self.handle.shed().into());
        }
        Ok(())
    }
}

impl Pace {
    // Several workers may note at once and one of them be forgotten: an estimate has no use for more.
    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = match self.micros.load(Relaxed) {
            0 => took,
            before => before,
        };
        self.micros.store(before - before / 4 + took / 4, Relaxed);
    }

    /// How long it takes until so many have been hashed; nothing before the first one.
    fn wait(&self, count: usize, workers: usize) -> Duration {
        let rounds = u32::try_from(count / workers.max(1)).unwrap_or(u32::MAX);
        Duration::from_micros(self.micros.load(Relaxed)).saturating_mul(rounds)
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
    Job(Job),
}

impl Kind for PasswordPoolMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Job(Job::Verify(_)) => "verify",
            Self::Job(Job::Hash(_)) => "hash",
        }
    }
}

enum Job {
    Verify(Call<(Password, PasswordHash), bool>),
    Hash(Call<Password, Result<PasswordHash, PasswordPoolError>>),
}

#[derive(Clone)]
struct PasswordPoolActor;

#[derive(Clone)]
struct Arguments {
    workers: Arc<Sender<Job>>,
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
            PasswordPoolMessage::Job(job) => state.workers.send(job)?,
        }
        Ok(())
    }
}

// The threads outlive a restart of the actor, so there are never more hashes at once than
// workers. They end when the last sender is gone.
fn start_workers(
    policy: PasswordPolicy,
    dummy: &PasswordHash,
    pace: &Arc<Pace>,
) -> std::io::Result<Arc<Sender<Job>>> {
    let (sender, jobs) = mpsc::channel();
    let jobs = Arc::new(Mutex::new(jobs));
    for index in 0..policy.workers {
        let jobs = Arc::clone(&jobs);
        let dummy = dummy.clone();
        let pace = Arc::clone(pace);
        let work = move || {
            while let Some(job) = next_job(&jobs) {
                job.run(policy.cost, &dummy, &pace);
            }
        };
        std::thread::Builder::new()
            .name(format!("bcrypt-{index}"))
            .spawn(work)?;
    }
    Ok(Arc::new(sender))
}

fn next_job(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

impl Job {
    // A panic in the hash ends this login only: its call is dropped, which tells the caller.
    fn run(self, cost: u32, dummy: &PasswordHash, pace: &Pace) {
        let began = Instant::now();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| match self {
            Self::Verify(call) if !call.is_stale() => {
                metrics::counter!(PASSWORD_HASHES).increment(1);
                let (password, hash) = &call.request;
                let comparison = password::compare(password, hash, dummy);
                pace.note(began.elapsed());
                if comparison == Comparison::Corrupt {
                    metrics::counter!(CORRUPT_PASSWORD_HASHES).increment(1);
                }
                call.answer(comparison == Comparison::Match);
            }
            Self::Hash(call) if !call.is_stale() => {
                metrics::counter!(PASSWORD_HASHES).increment(1);
                let hash = password::hash(&call.request, cost);
                pace.note(began.elapsed());
                call.answer(hash.map_err(|error| PasswordPoolError::Unhashable(error.into())));
            }
            Self::Verify(_) | Self::Hash(_) => {}
        }));
        if outcome.is_err() {
            tracing::error!("a bcrypt worker panicked; its login was refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_queue_and_follows_the_hashes() {
        let pace = Pace::default();
        assert_eq!(pace.wait(1_000, 2), Duration::ZERO);
        pace.note(Duration::from_millis(200));
        assert_eq!(pace.wait(1, 2), Duration::ZERO);
        assert_eq!(pace.wait(50, 2), Duration::from_secs(5));
        for _ in 0..20 {
            pace.note(Duration::from_millis(400));
        }
        assert!(pace.wait(50, 2) > Duration::from_millis(9_900));
        assert!(pace.wait(50, 2) <= Duration::from_secs(10));
    }
}

//! The bcrypt threads. Each computes several hashes in step, takes more whenever a lane is free,
//! and yields its core at each pause within a step, so that a flood of logins slows no verification.
//!
//! The threads outlive a restart of the actor, so there are never more hashes at once than they
//! have lanes. They end when the last [`Workers`] is dropped.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bcrypt_lanes::{Digest, Lanes};

use super::PasswordPolicy;
use super::courtesy::Courtesy;
use super::fair_queue::{FairQueue, Pushed, Requester};
use super::job::{Begun, Job};
use super::pace::Pace;
use crate::crypto::password;
use crate::domain::user::PasswordHash;
use crate::telemetry::metrics::PASSWORD_HASHES;

/// Steps between two looks for callers that left, some ten milliseconds.
const STEPS_BETWEEN_LOOKS: u32 = 128;
/// Between two searches of a full queue for callers that left.
const SEARCHED_EVERY: Duration = Duration::from_millis(50);
/// What a thread counts as that has ended: it takes nothing.
const ENDED: usize = usize::MAX;

/// How many threads of this process hash something.
static HASHING: AtomicUsize = AtomicUsize::new(0);

/// Whether a thread of this process hashes something now.
pub fn is_hashing() -> bool {
    HASHING.load(Relaxed) > 0
}

/// A thread that hashes something, until it is dropped.
struct Hashing;

impl Hashing {
    fn begin() -> Self {
        HASHING.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        HASHING.fetch_sub(1, Relaxed);
    }
}

/// The running threads.
pub(super) struct Workers(Arc<Bench>);

/// What the threads share.
struct Bench {
    policy: PasswordPolicy,
    dummy: PasswordHash,
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// How many wait, to be read without the lock.
    waiting: AtomicUsize,
    /// How many each thread computes.
    computing: Vec<AtomicUsize>,
    pace: Pace,
}

struct Queue {
    jobs: FairQueue<Job>,
    /// When it was last searched for callers that left.
    searched: Option<Instant>,
    is_closed: bool,
}

/// Notes, however a thread ends, that it takes nothing any more.
struct Ending<'b>(&'b AtomicUsize);

impl Workers {
    pub(super) fn start(policy: PasswordPolicy, dummy: PasswordHash) -> std::io::Result<Self> {
        let workers = Self(Arc::new(Bench {
            policy,
            dummy,
            queue: Mutex::new(Queue {
                jobs: FairQueue::new(),
                searched: None,
                is_closed: false,
            }),
            arrived: Condvar::new(),
            waiting: AtomicUsize::new(0),
            computing: (0..policy.workers).map(|_| AtomicUsize::new(0)).collect(),
            pace: Pace::default(),
        }));
        for index in 0..policy.workers {
            let bench = Arc::clone(&workers.0);
            std::thread::Builder::new()
                .name(format!("bcrypt-{index}"))
                .spawn(move || bench.work(index))?;
        }
        Ok(workers)
    }

    /// Whether one more job of this requester would be queued now.
    pub(super) fn has_room(&self, requester: &Requester) -> bool {
        let bench = &self.0;
        let bound = bench.bound();
        bench.waiting.load(Relaxed) < bound || bench.queue().jobs.has_room(requester, bound)
    }

    /// How long one more job of this requester would wait for its digest. Nothing where none waits.
    pub(super) fn wait(&self, requester: &Requester) -> Duration {
        let (bench, ahead) = (&self.0, self.ahead_of(requester));
        ahead.map_or(Duration::ZERO, |ahead| {
            bench.pace.wait(ahead, bench.policy.at_once())
        })
    }

    /// How long it would wait until its digest is begun.
    pub(super) fn until_turn(&self, requester: &Requester) -> Duration {
        let (bench, ahead) = (&self.0, self.ahead_of(requester).unwrap_or(0));
        bench.pace.until_turn(ahead, bench.policy.at_once())
    }

    fn ahead_of(&self, requester: &Requester) -> Option<usize> {
        let is_busy = self.0.waiting.load(Relaxed) > 0;
        is_busy.then(|| self.0.queue().jobs.ahead_of(requester))
    }

    /// Queues a job. Who has no place in the queue, or loses it, is told so at once.
    pub(super) fn push(&self, requester: Requester, job: Job) {
        let bench = &self.0;
        let weight = 1 << job.cost(bench.policy.cost);
        let bound = bench.bound();
        let mut queue = bench.queue();
        if queue.jobs.len() >= bound {
            queue.search();
        }
        let pushed = queue.jobs.push(requester, weight, job, bound);
        bench.waiting.store(queue.jobs.len(), Relaxed);
        drop(queue);
        bench.arrived.notify_one();
        match pushed {
            Pushed::Queued => {}
            Pushed::Displaced(job) | Pushed::Full(job) => job.refuse(),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.arrived.notify_all();
    }
}

impl Bench {
    fn work(&self, index: usize) {
        let _ending = Ending(&self.computing[index]);
        let compute = || self.compute(index);
        while std::panic::catch_unwind(AssertUnwindSafe(compute)).is_err() {
            tracing::error!("a bcrypt worker panicked; its logins were refused");
            self.computing[index].store(0, Relaxed);
        }
    }

    /// Computes until no more will come.
    fn compute(&self, index: usize) {
        let mut lanes = Lanes::new();
        let mut courtesy = Courtesy::default();
        let mut steps: u32 = 0;
        let mut hashing = None;
        loop {
            while lanes.len() < self.policy.lanes_each() {
                if lanes.is_empty() {
                    hashing = None;
                }
                let Some(job) = self.take(index, lanes.len()) else {
                    break;
                };
                hashing.get_or_insert_with(Hashing::begin);
                self.begin(index, job, &mut lanes);
            }
            if lanes.is_empty() && self.queue().is_closed {
                return;
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STEPS_BETWEEN_LOOKS) {
                lanes.give_up(Begun::is_given_up);
                self.computing[index].store(lanes.len(), Relaxed);
            }
            let mut began = Instant::now();
            lanes.step_with_pauses(
                || began = courtesy.yield_after(began),
                |begun, digest| self.finish(index, begun, &digest),
            );
        }
    }

    /// The next job for a thread that computes `own` hashes. One that computes none waits; `None`
    /// then says that no more will come.
    fn take(&self, index: usize, own: usize) -> Option<Job> {
        let is_idle = own == 0;
        // Whoever computes least takes the next, so that the cores share evenly.
        let has_less = |other: &AtomicUsize| other.load(Relaxed) < own;
        if !is_idle && (self.waiting.load(Relaxed) == 0 || self.computing.iter().any(has_less)) {
            return None;
        }
        let mut queue = self.queue();
        if is_idle {
            self.computing[index].store(0, Relaxed);
            let is_waiting = |queue: &mut Queue| queue.jobs.len() == 0 && !queue.is_closed;
            let woken = self.arrived.wait_while(queue, is_waiting);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let job = queue.jobs.pop(Job::is_stale);
        self.waiting.store(queue.jobs.len(), Relaxed);
        job
    }

    fn begin(&self, index: usize, job: Job, lanes: &mut Lanes<Begun>) {
        let Some(begun) = Begun::new(job, &self.dummy, self.policy.cost) else {
            return;
        };
        metrics::counter!(PASSWORD_HASHES).increment(1);
        self.computing[index].fetch_add(1, Relaxed);
        let recipe = begun.recipe();
        if self.policy.lanes == 0 {
            let digest = password::digest_alone(begun.password().as_bytes(), recipe);
            self.finish(index, begun, &digest);
            return;
        }
        let password = begun.password().clone();
        let joined = lanes.join(password.as_bytes(), recipe.salt, recipe.cost, begun);
        // A lane was free; else the caller is told that there is no answer.
        drop(joined);
    }

    fn finish(&self, index: usize, begun: Begun, digest: &Digest) {
        // First: who is answered may come again at once, and has a free lane.
        self.computing[index].fetch_sub(1, Relaxed);
        self.pace.note(begun.elapsed());
        begun.finish(digest);
    }

    /// How many may be queued: what a free lane is about to take does not wait.
    fn bound(&self) -> usize {
        let each = self.policy.lanes_each();
        let free = |computing: &AtomicUsize| each.saturating_sub(computing.load(Relaxed));
        self.policy.queue + self.computing.iter().map(free).sum::<usize>()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Drops what nobody waits for. That takes a look at each, so not each time there is no room.
    fn search(&mut self) {
        let now = Instant::now();
        if self.searched.is_none_or(|at| now - at >= SEARCHED_EVERY) {
            self.searched = Some(now);
            self.jobs.drop_if(Job::is_stale);
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(ENDED, Relaxed);
    }
}

//! `Throttle` guards how many logins and client authentications may fail, by counts that all servers
//! share. Shape: batcher; what arrives during one round trip is counted with the next as one, and a
//! login that waits long for bcrypt anyway may wait for others first. Deadline: five seconds. When it
//! dies, queued callers get [`ThrottleError::Unavailable`] at once; an attempt whose end it was not told
//! counts as failed until its window is over.
//!
//! Counted are the attempts of one network, and of one user name from one network: a stranger
//! elsewhere locks nobody out. Where nobody knows the network nothing is counted, or anybody could
//! lock out everybody. What does not live here: how attempts are counted (`domain::attempt`).

pub mod error;

mod actor;
mod attempt;
mod counter;
mod exhausted;
mod flight;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::batch::Haste;
use super::handle::{Handle, within};
use super::supervisor::Child;
use crate::clock::Clock;
use crate::domain::attempt::AttemptLimit;
use crate::domain::network::Network;
use crate::stores::AttemptStore;
use actor::{Request, ThrottleActor, ThrottleMessage};
use counter::Counter;
use error::{ThrottleError, Throttled, ThrottledBy};
use exhausted::Exhausted;
use flight::Flight;

pub use attempt::Attempt;

/// The longest a caller waits for its attempt to be counted.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most logins that wait to be counted.
const BOUND: usize = 1_024;
/// Most failures of clients, and most logins at the console, that do.
const OTHERS_BOUND: usize = 256;

/// How many attempts may fail, zero for any number, and within what time.
#[derive(Clone, Copy, Debug)]
pub struct ThrottlePolicy {
    /// Logins of one user name from one network, and logins at the console from one network.
    pub user: u32,
    /// Logins from one network, and client authentications from one network.
    pub network: u32,
    /// The window.
    pub window: Duration,
}

/// Counts attempts, and refuses those of which too many have failed.
#[derive(Clone)]
pub struct Throttle {
    logins: Handle<ThrottleMessage>,
    /// Of a bound of its own, as the next: a flood of logins must shed neither.
    clients: Handle<ThrottleMessage>,
    console: Handle<ThrottleMessage>,
    policy: ThrottlePolicy,
    exhausted: Arc<Exhausted>,
    clock: Clock,
}

impl Throttle {
    /// The throttle over the counts of `store`, and the actor to be supervised.
    pub fn new(
        store: Arc<dyn AttemptStore>,
        policy: ThrottlePolicy,
        clock: Clock,
    ) -> (Self, Child) {
        let (logins, published) = Handle::new(BOUND);
        let exhausted = Arc::<Exhausted>::default();
        let flight = Flight {
            store,
            exhausted: Arc::clone(&exhausted),
            clock: clock.clone(),
        };
        let actor = (ThrottleActor, flight);
        let child = Child::new("throttle", actor, (&logins, published));
        (
            Self {
                clients: logins.beside(OTHERS_BOUND),
                console: logins.beside(OTHERS_BOUND),
                logins,
                policy,
                exhausted,
                clock,
            },
            child,
        )
    }

    /// Counts a login before its password is looked at, known user or not. Where there is no haste, that
    /// it failed may be noted a little later as well.
    ///
    /// # Errors
    /// [`ThrottleError`], each; after any of them the login must not be looked at.
    pub async fn begin_login(
        &self,
        username: &str,
        network: Option<Network>,
        haste: Haste,
    ) -> Result<Attempt, ThrottleError> {
        let Some(network) = network else {
            return Ok(Attempt::uncounted());
        };
        // The network first: so made-up names add no more counts than its own limit leaves room for.
        let of_network = self.limit(self.policy.network);
        let of_user = self.limit(self.policy.user);
        let counters = [
            Counter::new(ThrottledBy::Network, network, "", of_network),
            Counter::new(ThrottledBy::User, network, username, of_user),
        ];
        self.begin(&self.logins, &counters, haste).await
    }

    /// Counts a login at the console before its password is looked at.
    ///
    /// # Errors
    /// As [`Throttle::begin_login`].
    pub async fn begin_console_login(
        &self,
        network: Option<Network>,
    ) -> Result<Attempt, ThrottleError> {
        let Some(counter) = self.of_console(network) else {
            return Ok(Attempt::uncounted());
        };
        self.begin(&self.console, &[counter], Haste::AtOnce).await
    }

    /// Refuses what [`Throttle::begin_console_login`] is known to refuse, and asks nobody.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn check_console(&self, network: Option<Network>) -> Result<(), Throttled> {
        self.check(self.of_console(network).as_slice())
    }

    /// Refuses a client's secret unseen where this server knows that too many of its network have
    /// failed. That costs nothing; [`Throttle::count_client_failure`] is how it comes to know.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn check_client(&self, network: Option<Network>) -> Result<(), Throttled> {
        self.check(self.of_client(network).as_slice())
    }

    /// Counts a client authentication that has failed: a good one is not counted before.
    ///
    /// # Errors
    /// [`ThrottleError`], each; `Throttled` when too many had failed before.
    pub async fn count_client_failure(
        &self,
        network: Option<Network>,
    ) -> Result<(), ThrottleError> {
        if let Some(counter) = self.of_client(network) {
            let counters = [counter];
            let begun = self.begin(&self.clients, &counters, Haste::AtOnce);
            begun.await?.failed();
        }
        Ok(())
    }

    async fn begin(
        &self,
        handle: &Handle<ThrottleMessage>,
        counters: &[Counter],
        haste: Haste,
    ) -> Result<Attempt, ThrottleError> {
        let is_limited = |counter: &&Counter| counter.limit.failures > 0;
        let counters: Vec<Counter> = counters.iter().filter(is_limited).copied().collect();
        if counters.is_empty() {
            return Ok(Attempt::uncounted());
        }
        self.check(&counters)?;
        let request = Request { counters, haste };
        handle
            .ask(request, within(DEADLINE), ThrottleMessage::Reserve)
            .await?
    }

    fn check(&self, counters: &[Counter]) -> Result<(), Throttled> {
        let now = self.clock.now();
        let refusal = |counter: &Counter| {
            let ends_at = self.exhausted.end_of(counter, now)?;
            Some(Throttled::until(counter.by, ends_at, now))
        };
        counters.iter().find_map(refusal).map_or(Ok(()), Err)
    }

    fn of_console(&self, network: Option<Network>) -> Option<Counter> {
        let limit = self.limit(self.policy.user);
        Some(Counter::new(ThrottledBy::Console, network?, "", limit))
    }

    fn of_client(&self, network: Option<Network>) -> Option<Counter> {
        let limit = self.limit(self.policy.network);
        Some(Counter::new(ThrottledBy::Client, network?, "", limit))
    }

    fn limit(&self, failures: u32) -> AttemptLimit {
        AttemptLimit {
            failures,
            window: self.policy.window,
        }
    }
}

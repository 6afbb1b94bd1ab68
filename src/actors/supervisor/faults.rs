//! Where an actor is to panic, for the tests of supervision.
//!
//! Release builds never look at it: each use is behind `cfg!(debug_assertions)`, and nothing but a
//! call within the process can plan anything.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A moment in the life of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A message of this kind is taken up.
    Before(&'static str),
    /// A message of this kind has been handled, and what it launched is in the air.
    After(&'static str),
    /// The flight whose end this message tells is polled for the n-th time: each number is another
    /// place between its first step and its last.
    InFlight(&'static str, usize),
}

/// A planned panic; dropping it withdraws what has not happened.
pub struct PlannedPanic {
    plan: Arc<Plan>,
    faults: Faults,
}

impl PlannedPanic {
    /// How often it has happened.
    pub fn happened(&self) -> usize {
        self.plan.happened.load(Ordering::SeqCst)
    }
}

impl Drop for PlannedPanic {
    fn drop(&mut self) {
        self.faults
            .plans()
            .retain(|plan| !Arc::ptr_eq(plan, &self.plan));
    }
}

struct Plan {
    moment: Moment,
    times: usize,
    happened: AtomicUsize,
}

/// The planned panics of one actor, over all its lives.
#[derive(Clone, Default)]
pub(in crate::actors) struct Faults(Arc<Mutex<Vec<Arc<Plan>>>>);

impl Faults {
    /// Plans a panic for the next `times` that this moment comes.
    pub(super) fn plan(&self, moment: Moment, times: usize) -> PlannedPanic {
        let plan = Arc::new(Plan {
            moment,
            times,
            happened: AtomicUsize::new(0),
        });
        self.plans().push(Arc::clone(&plan));
        PlannedPanic {
            plan,
            faults: self.clone(),
        }
    }

    /// Panics if that is planned for this moment.
    pub(super) fn strike(&self, moment: Moment) {
        let found = self.find(|planned| planned == moment);
        if let Some(plan) = found {
            plan.strike();
        }
    }

    /// Runs a flight, which panics on its way if that is planned. Its end is told by the message
    /// whose constructor has this name, such as `TokenIssuerMessage::Landed`.
    pub(in crate::actors) async fn run<R>(
        &self,
        constructor: &str,
        flight: impl Future<Output = R>,
    ) -> R {
        let of_this = |planned| match planned {
            Moment::InFlight(name, _) => constructor.split("::").any(|part| part == name),
            Moment::Before(_) | Moment::After(_) => false,
        };
        let mut polled = 0;
        let plan = self.find(of_this);
        let mut flight = pin!(flight);
        std::future::poll_fn(|context| {
            polled += 1;
            if let Some(plan) = &plan
                && matches!(plan.moment, Moment::InFlight(_, at) if at == polled)
            {
                plan.strike();
            }
            flight.as_mut().poll(context)
        })
        .await
    }

    fn find(&self, is_wanted: impl Fn(Moment) -> bool) -> Option<Arc<Plan>> {
        let plans = self.plans();
        let found = plans.iter().find(|plan| is_wanted(plan.moment));
        found.map(Arc::clone)
    }

    fn plans(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Plan>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn strike(&self) {
        let more = |happened| (happened < self.times).then_some(happened + 1);
        let counted = self
            .happened
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        assert!(counted.is_err(), "a test planned this panic");
    }
}

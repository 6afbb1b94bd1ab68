//! The round trips: attempts of one count are counted as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;

use super::actor::{Asked, ThrottleMessage};
use super::attempt::Attempt;
use super::counter::Counter;
use super::error::{ThrottleError, Throttled};
use super::exhausted::Exhausted;
use crate::actors::batch::{COMPANY, Gathered};
use crate::clock::Clock;
use crate::domain::attempt::{AttemptKey, AttemptOutcome, AttemptRequest, Reservation, Reserved};
use crate::stores::AttemptStore;
use crate::stores::error::StoreError;
use crate::telemetry::chain::Chain;

/// How often it is tried to note how attempts ended: for as long as a change of the primary takes.
const SETTLE_ATTEMPTS: usize = 10;
/// The pause after one that failed.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// Most counts that one attempt has.
const MOST_COUNTERS: usize = 2;

/// What a round trip needs.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) store: Arc<dyn AttemptStore>,
    pub(super) exhausted: Arc<Exhausted>,
    pub(super) clock: Clock,
}

/// An attempt on its way, with what is counted of it so far.
struct Asking {
    call: Asked,
    attempt: Attempt,
}

impl Asking {
    fn counter(&self, position: usize) -> Option<Counter> {
        self.call.request.counters.get(position).copied()
    }
}

impl Flight {
    /// Counts attempts, first by the first of their counters, and answers.
    pub(super) async fn reserve(self, asked: Vec<Asked>, actor: ActorRef<ThrottleMessage>) {
        let awaited = asked.into_iter().filter(|call| !call.is_stale());
        let mut asking: Vec<Asking> = awaited
            .map(|call| Asking {
                attempt: Attempt::of(actor.clone(), call.request.haste),
                call,
            })
            .collect();
        for position in 0..MOST_COUNTERS {
            let requests = requests(&asking, position);
            if requests.is_empty() {
                continue;
            }
            match self.store.reserve_attempts(&requests).await {
                Ok(reserved) => {
                    let keys = requests.iter().map(|request| request.key);
                    asking = self.grant(asking, position, keys.zip(reserved).collect());
                }
                Err(error) => return refuse_all(asking, error),
            }
        }
        if asking.is_empty() {
            return;
        }
        for Asking { call, attempt } in asking {
            // Who has left leaves it behind, and it is given back.
            call.answer(Ok(attempt));
        }
        if let Err(error) = self.store.keep_attempts().await {
            let error = Chain(&error);
            tracing::debug!(error = %error, "a crash would forget which attempts were counted");
        }
    }

    // Those that came first. The others are told no, and what was counted of them is given back.
    fn grant(
        &self,
        asking: Vec<Asking>,
        position: usize,
        mut reserved: HashMap<AttemptKey, Reserved>,
    ) -> Vec<Asking> {
        let now = self.clock.now();
        let mut granted = Vec::new();
        for mut own in asking {
            let Some(counter) = own.counter(position) else {
                granted.push(own);
                continue;
            };
            let Some(reserved) = reserved.get_mut(&counter.key) else {
                continue;
            };
            let Reserved { ends_at, .. } = *reserved;
            if reserved.granted > 0 {
                reserved.granted -= 1;
                let key = counter.key;
                own.attempt.add(Reservation { key, ends_at }, counter.by);
                granted.push(own);
            } else if reserved.is_exhausted {
                self.exhausted.note(&counter, ends_at, now);
                let throttled = Throttled::until(counter.by, ends_at, now);
                own.call.answer(Err(throttled.into()));
            } else {
                let throttled = Throttled::for_a_moment(counter.by, now);
                own.call.answer(Err(throttled.into()));
            }
        }
        granted
    }
}

/// How many want to be counted by each counter of this position.
fn requests(asking: &[Asking], position: usize) -> Vec<AttemptRequest> {
    let mut requests: HashMap<AttemptKey, AttemptRequest> = HashMap::new();
    for counter in asking.iter().filter_map(|own| own.counter(position)) {
        let request = requests.entry(counter.key).or_insert(AttemptRequest {
            key: counter.key,
            wanted: 0,
            limit: counter.limit,
        });
        request.wanted += 1;
    }
    requests.into_values().collect()
}

fn refuse_all(asking: Vec<Asking>, error: StoreError) {
    let error = ThrottleError::from(error);
    for own in asking {
        own.call.answer(Err(error.clone()));
    }
}

/// Notes how attempts ended, those of one count and outcome as one.
pub(super) async fn settle(
    store: Arc<dyn AttemptStore>,
    ended: Vec<(Reservation, AttemptOutcome)>,
) {
    let mut counts: HashMap<(Reservation, AttemptOutcome), u32> = HashMap::new();
    for end in ended {
        *counts.entry(end).or_default() += 1;
    }
    let counts = counts
        .into_iter()
        .map(|((reservation, outcome), count)| (reservation, outcome, count));
    // A success forgets the failures that came before it.
    let (failed, others): (Vec<_>, Vec<_>) =
        counts.partition(|(_, outcome, _)| *outcome == AttemptOutcome::Failed);
    for ended in [failed, others] {
        if !ended.is_empty() {
            settle_stubbornly(&*store, ended).await;
        }
    }
}

/// Notes what has gathered after a while.
pub(super) async fn settle_late(
    store: Arc<dyn AttemptStore>,
    gathered: Gathered<(Reservation, AttemptOutcome)>,
) {
    tokio::time::sleep(COMPANY).await;
    settle(store, gathered.take()).await;
}

// What is not given back counts as failed, and a store that was away for a moment would lock out a
// network in which nobody has failed. What may have been noted is not noted again: twice is worse.
async fn settle_stubbornly(
    store: &dyn AttemptStore,
    mut ended: Vec<(Reservation, AttemptOutcome, u32)>,
) {
    for _ in 0..SETTLE_ATTEMPTS {
        let Err(error) = store.settle_attempts(&ended).await else {
            return;
        };
        let undone = error.undone.iter().filter_map(|place| ended.get(*place));
        ended = undone.copied().collect();
        tracing::debug!(error = %Chain(&error), "attempts count as failed until this can be told");
        if ended.is_empty() {
            return;
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

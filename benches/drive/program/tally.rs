//! What became of each request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Outcome;
use super::ask::Fault;
use super::kind::Kind;
use super::traffic::Period;

/// The longest latency that is told from longer ones, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;
/// Decimal digits of a latency.
const DIGITS: u8 = 3;

/// Counts of the whole run, and of the second that is not over.
pub(crate) struct Tally {
    /// What was due before it is warm-up, and does not count.
    period: Period,
    late: Duration,
    counts: Mutex<BTreeMap<Kind, Counts>>,
    /// Answers of any status, those of the warm-up included.
    answers: AtomicU64,
    under_way: AtomicU64,
}

/// The requests of one kind.
pub(crate) struct Counts {
    /// Of the whole run.
    pub(crate) run: Part,
    /// Of the present second.
    pub(crate) second: Part,
}

/// Some requests.
#[derive(Clone)]
pub(crate) struct Part {
    /// From due to answered, in microseconds: of good answers, and of silence as long as it
    /// lasted. A refusal has no latency: it is quick where an answer is not.
    pub(crate) latency: Histogram<u64>,
    /// From due until this program took it up, in microseconds: what is slow here, and not there.
    pub(crate) delay: Histogram<u64>,
    /// From due to sent, in microseconds: the delay, and the wait for a session and a connection.
    pub(crate) wait: Histogram<u64>,
    /// Requests with a good answer.
    pub(crate) good: u64,
    /// Good answers in the measured time, also to what was due before it: as many leave at its end.
    pub(crate) within: u64,
    /// Requests that were sent late.
    pub(crate) late: u64,
    /// Requests without a good answer.
    pub(crate) faults: BTreeMap<Fault, u64>,
}

/// A request between its moment and its answer. Dropping it says that there is none.
pub(crate) struct Entry {
    tally: Arc<Tally>,
    kind: Kind,
    due: Instant,
    begun: Instant,
    sent: Option<Instant>,
    outcome: Option<Result<(), Fault>>,
}

impl Tally {
    /// A tally of what is due in the measured part of `period`, where more than `late` is late.
    ///
    /// # Errors
    /// None that can be: the bounds of the histograms are constants.
    pub(crate) fn new(
        kinds: impl Iterator<Item = Kind>,
        period: Period,
        late: Duration,
    ) -> Outcome<Self> {
        let mut counts = BTreeMap::new();
        for kind in kinds {
            let (run, second) = (Part::new()?, Part::new()?);
            counts.insert(kind, Counts { run, second });
        }
        Ok(Self {
            period,
            late,
            counts: Mutex::new(counts),
            answers: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
        })
    }

    /// Looks at the counts.
    pub(crate) fn counts(&self) -> MutexGuard<'_, BTreeMap<Kind, Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until now.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Requests that are due and not answered.
    pub(crate) fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }
}

impl Part {
    /// No requests.
    ///
    /// # Errors
    /// As [`Tally::new`].
    pub(crate) fn new() -> Outcome<Self> {
        let histogram = Histogram::new_with_bounds(1, LONGEST, DIGITS)?;
        Ok(Self {
            latency: histogram.clone(),
            delay: histogram.clone(),
            wait: histogram,
            good: 0,
            within: 0,
            late: 0,
            faults: BTreeMap::new(),
        })
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.latency.reset();
        self.delay.reset();
        self.wait.reset();
        self.good = 0;
        self.within = 0;
        self.late = 0;
        self.faults.clear();
    }

    /// These and those of `other`.
    ///
    /// # Errors
    /// As [`Tally::new`].
    pub(crate) fn add(&mut self, other: &Self) -> Outcome<()> {
        self.latency.add(&other.latency)?;
        self.delay.add(&other.delay)?;
        self.wait.add(&other.wait)?;
        self.good += other.good;
        self.within += other.within;
        self.late += other.late;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        Ok(())
    }

    fn record(&mut self, entry: &Entry, now: Instant) {
        let delay = entry.begun.saturating_duration_since(entry.due);
        self.delay.saturating_record(micros(delay));
        if let Some(sent) = entry.sent {
            let wait = sent.saturating_duration_since(entry.due);
            self.wait.saturating_record(micros(wait));
            self.late += u64::from(wait > entry.tally.late);
        }
        let fault = match entry.outcome {
            Some(outcome) => outcome.err(),
            None if entry.sent.is_some() => Some(Fault::Unanswered),
            None => Some(Fault::Unsent),
        };
        if fault.is_none_or(Fault::is_silence) {
            let latency = now.saturating_duration_since(entry.due);
            self.latency.saturating_record(micros(latency));
        }
        match fault {
            None => self.good += 1,
            Some(fault) => *self.faults.entry(fault).or_default() += 1,
        }
    }
}

impl Entry {
    /// A request that is due.
    pub(crate) fn begin(tally: &Arc<Tally>, kind: Kind, due: Instant) -> Self {
        tally.under_way.fetch_add(1, Ordering::Relaxed);
        Self {
            tally: Arc::clone(tally),
            kind,
            due,
            begun: Instant::now(),
            sent: None,
            outcome: None,
        }
    }

    /// It is sent now.
    pub(crate) fn mark_sent(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// It is answered, or will not be.
    pub(crate) fn end(mut self, outcome: Result<(), Fault>) {
        if matches!(outcome, Ok(()) | Err(Fault::Status(_) | Fault::Malformed)) {
            self.tally.answers.fetch_add(1, Ordering::Relaxed);
        }
        self.outcome = Some(outcome);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let now = Instant::now();
        self.tally.under_way.fetch_sub(1, Ordering::Relaxed);
        let Period { start, end, .. } = self.tally.period;
        let is_within = self.outcome == Some(Ok(())) && now >= start && now < end;
        if let Some(counts) = self.tally.counts().get_mut(&self.kind) {
            for part in [&mut counts.run, &mut counts.second] {
                part.within += u64::from(is_within);
                if self.due >= start {
                    part.record(self, now);
                }
            }
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! Looks at the run once a second, and at what the server's process uses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::Outcome;
use super::arguments::Arguments;
use super::figures::{Figures, Processor, Second};
use super::schedule::{Schedule, Share};
use super::tally::{Part, Tally};
use super::traffic::Period;

/// What was seen.
pub(crate) struct Seen {
    /// Each second.
    pub(crate) seconds: Vec<Second>,
    /// What the server used, if it can be told.
    pub(crate) processor: Option<Processor>,
}

/// Looks at the server's processes, if there are any to look at.
struct Meter<'p> {
    pids: &'p [u32],
    last: Vec<Schedule>,
    total: Share,
}

/// Prints a line each second of the measured part.
///
/// # Errors
/// None but a defect of this program.
pub(crate) async fn watch(arguments: &Arguments, tally: &Tally, period: Period) -> Outcome<Seen> {
    if arguments.warm_up > 0 {
        eprintln!("warming up for {} s", arguments.warm_up);
    }
    sleep_until(period.start.into()).await;
    let mut meter = Meter::begin(&arguments.pid);
    let answers = tally.answers();
    let mut seconds = Vec::new();
    let mut before = period.start;
    for number in 1..=arguments.seconds {
        let end = period.start + Duration::from_secs(number.into());
        sleep_until(end.into()).await;
        let now = Instant::now();
        let share = meter.lap();
        seconds.push(look(tally, number, now - before, share)?);
        before = now;
    }
    let answers = tally.answers() - answers;
    Ok(Seen {
        seconds,
        processor: meter
            .total()
            .map(|share| Processor::of(share, answers, before - period.start)),
    })
}

fn look(tally: &Tally, number: u32, length: Duration, share: Option<Share>) -> Outcome<Second> {
    let mut all = Part::new()?;
    let mut kinds = BTreeMap::new();
    for (kind, counts) in &mut *tally.counts() {
        all.add(&counts.second)?;
        kinds.insert(*kind, Figures::of(&counts.second, length));
        counts.second.clear();
    }
    let all = Figures::of(&all, length);
    eprintln!(
        "{number:>5} s {:>10.1}/s   p99 {:>10} ms   errors {} and {} of 503   under way {}",
        all.per_second,
        all.latency_ms
            .map_or("-".to_owned(), |ms| format!("{:.3}", ms.p99)),
        all.errors,
        all.unavailable,
        tally.under_way(),
    );
    Ok(Second {
        number,
        all,
        kinds,
        processor_seconds: share.map(|share| share.running.as_secs_f64()),
    })
}

impl<'p> Meter<'p> {
    fn begin(pids: &'p [u32]) -> Self {
        let last = read(pids).unwrap_or_else(|error| {
            eprintln!("the server's processor time cannot be read: {error}");
            Vec::new()
        });
        let total = Share::default();
        Self { pids, last, total }
    }

    /// Since the last look.
    fn lap(&mut self) -> Option<Share> {
        if self.last.is_empty() {
            return None;
        }
        let now = read(self.pids).ok()?;
        let mut share = Share::default();
        for (now, before) in now.iter().zip(&self.last) {
            share.add(now.since(before));
        }
        self.last = now;
        // Lap by lap: threads that have ended since the beginning are part of it.
        self.total.add(share);
        Some(share)
    }

    fn total(&self) -> Option<Share> {
        (!self.last.is_empty()).then_some(self.total)
    }
}

fn read(pids: &[u32]) -> Outcome<Vec<Schedule>> {
    pids.iter().map(|pid| Schedule::of(*pid)).collect()
}

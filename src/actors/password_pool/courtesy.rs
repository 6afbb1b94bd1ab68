//! How often a bcrypt thread yields its core: as often as it can, so that verification never waits
//! for it; but not to those who would keep the core for themselves.

use std::time::{Duration, Instant};

/// How much longer than it computes a thread waits for its core, at most, before it yields no more.
const PATIENCE: u32 = 3;
/// The part of what it computed that it may have waited, at most, to yield before [`OFTEN_ENOUGH`].
const EARLY_PART: u32 = 4;
/// A thread that others keep waiting computes for so long before it yields again.
const OFTEN_ENOUGH: Duration = Duration::from_micros(80);
/// The longest that a stretch between two pauses takes. What it takes beyond that it was interrupted.
const LONGEST_STRETCH: Duration = Duration::from_millis(1);
/// The longest that a thread waits because of what it computed before.
const SAVED: Duration = Duration::from_millis(10);
/// What it waited beyond that is soon forgotten.
const REMEMBERED: Duration = Duration::from_millis(100);

/// What a thread may still wait.
///
/// A yield does not only pass the turn: where others want all of the core, the scheduler takes what
/// was left of the turn as given up for good, and a thread that yields at each pause would get
/// next to nothing.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    /// For any yield.
    any: Account,
    /// For a yield that comes early: where others take the core each time, to yield more often is to
    /// compute less.
    early: Account,
    /// Computed since the last yield.
    kept: Duration,
}

/// Time that may be waited, or that was waited too much.
#[derive(Debug, Default)]
struct Account {
    credit: Duration,
    debt: Duration,
}

impl Courtesy {
    /// Yields the core after a stretch that began at `since`, if that can be afforded. The next one
    /// begins at what is returned.
    pub(super) fn yield_after(&mut self, since: Instant) -> Instant {
        let computed = Instant::now();
        self.note_stretch(computed - since);
        if !self.may_yield() {
            return computed;
        }
        self.kept = Duration::ZERO;
        std::thread::yield_now();
        let resumed = Instant::now();
        self.note_wait(resumed - computed);
        resumed
    }

    fn note_stretch(&mut self, took: Duration) {
        let computed = took.min(LONGEST_STRETCH);
        self.any.earn(computed * PATIENCE);
        self.early.earn(computed / EARLY_PART);
        self.kept += computed;
        self.note_wait(took.saturating_sub(LONGEST_STRETCH));
    }

    fn may_yield(&self) -> bool {
        let is_early = self.kept < OFTEN_ENOUGH;
        self.any.debt.is_zero() && (!is_early || self.early.debt.is_zero())
    }

    fn note_wait(&mut self, waited: Duration) {
        self.any.spend(waited);
        self.early.spend(waited);
    }
}

impl Account {
    fn earn(&mut self, earned: Duration) {
        let saved = earned.saturating_sub(self.debt);
        self.debt = self.debt.saturating_sub(earned);
        self.credit = (self.credit + saved).min(SAVED);
    }

    fn spend(&mut self, spent: Duration) {
        let lacking = spent.saturating_sub(self.credit);
        self.debt = (self.debt + lacking).min(REMEMBERED);
        self.credit = self.credit.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRETCH: Duration = Duration::from_micros(100);

    /// The share of stretches that are followed by a yield, when each yield takes so long.
    fn share_of_yields(stretch: Duration, waited: Duration) -> f64 {
        let mut courtesy = Courtesy::default();
        let mut yields = 0;
        for _ in 0..10_000 {
            courtesy.note_stretch(stretch);
            if courtesy.may_yield() {
                courtesy.kept = Duration::ZERO;
                courtesy.note_wait(waited);
                yields += 1;
            }
        }
        f64::from(yields) / 10_000.0
    }

    #[test]
    fn a_thread_yields_at_each_pause_to_those_who_soon_give_the_core_back() {
        assert!(share_of_yields(STRETCH, Duration::from_micros(20)) > 0.999);
        assert!(share_of_yields(STRETCH, Duration::from_micros(290)) > 0.999);
    }

    #[test]
    fn a_thread_yields_early_only_where_it_waits_little() {
        let short = Duration::from_micros(20);
        assert!(share_of_yields(short, Duration::from_micros(4)) > 0.999);
        let share = share_of_yields(short, Duration::from_micros(50));
        assert!((0.24..=0.27).contains(&share), "{share}");
    }

    #[test]
    fn a_thread_waits_three_times_as_long_as_it_computes_at_most() {
        let waited = share_of_yields(STRETCH, Duration::from_millis(4)) * 40.0;
        assert!((2.8..=3.2).contains(&waited), "{waited}");
    }

    #[test]
    fn a_thread_whose_stretches_are_interrupted_does_not_yield_until_it_has_caught_up() {
        let mut courtesy = Courtesy::default();
        courtesy.note_stretch(Duration::from_secs(1));
        let mut stretches = 0;
        while !courtesy.may_yield() {
            courtesy.note_stretch(STRETCH);
            stretches += 1;
        }
        assert_eq!(stretches, 334);
    }
}

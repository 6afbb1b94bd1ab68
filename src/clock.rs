//! Wall time. The only reader of it, so that a test can move it; and the watch over its jumps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// This program is younger than this instant, so a clock that stands before it is wrong. A constant,
/// so that one source makes one program whenever it is built; each release moves it on.
pub const YOUNGER_THAN: OffsetDateTime = datetime!(2026-04-16 0:00 UTC);

/// A jump of wall time that is told. Less may be the work of who keeps clocks in step.
const LEAST_JUMP: Duration = Duration::minutes(5);

/// Tells the time in whole milliseconds, as the stores keep it. Clones share a clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_millis: Arc<AtomicI64>,
}

impl Clock {
    /// The present instant, UTC.
    pub fn now(&self) -> OffsetDateTime {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one reader of wall time"
        )]
        let now = OffsetDateTime::now_utc();
        let offset = Duration::milliseconds(self.offset_millis.load(Ordering::Relaxed));
        let whole_millis = now.nanosecond() / 1_000_000 * 1_000_000;
        now.replace_nanosecond(whole_millis).unwrap_or(now) + offset
    }

    /// Moves this clock and all its clones, back by what is negative; tests use it in place of
    /// sleeping.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.whole_milliseconds()).unwrap_or(i64::MAX);
        self.offset_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

/// Compares wall time with monotonic time. What is measured by the latter, as all deadlines are,
/// does not jump; but validity is decided by the former.
#[derive(Debug)]
pub struct JumpWatch {
    clock: Clock,
    wall: OffsetDateTime,
    since: Instant,
}

impl JumpWatch {
    /// Watches from now on.
    pub fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            wall: clock.now(),
            since: Instant::now(),
        }
    }

    /// By how much wall time has jumped since the last jump or the beginning, if by more than five
    /// minutes; negative is back. A machine that slept jumps ahead.
    pub fn jump(&mut self) -> Option<Duration> {
        let jump = self.clock.now() - (self.wall + self.since.elapsed());
        if jump.abs() <= LEAST_JUMP {
            return None;
        }
        *self = Self::new(&self.clock);
        Some(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_more_than_five_minutes_is_told_once() {
        let clock = Clock::default();
        let mut watch = JumpWatch::new(&clock);
        assert_eq!(watch.jump(), None);
        for (minutes, expected) in [
            (60, Some(60)),
            (-60, Some(-60)),
            (4, None),
            // Together with the one before.
            (2, Some(6)),
            (-4, None),
            (-24 * 60, Some(-24 * 60 - 4)),
        ] {
            clock.advance(Duration::minutes(minutes));
            let told = watch
                .jump()
                .map(|jump| (jump.as_seconds_f64() / 60.0).round());
            assert_eq!(told, expected.map(f64::from), "{minutes} minutes");
            assert_eq!(watch.jump(), None, "told twice");
        }
    }

    #[test]
    fn this_machine_stands_behind_the_date_of_the_program() {
        assert!(Clock::default().now() > YOUNGER_THAN);
    }

    #[test]
    fn a_moved_clock_moves_its_clones() {
        let clock = Clock::default();
        let before = clock.now();
        clock.clone().advance(Duration::hours(1));
        assert!(clock.now() - before >= Duration::hours(1));
    }

    #[test]
    fn instants_are_whole_milliseconds() {
        assert_eq!(Clock::default().now().nanosecond() % 1_000_000, 0);
    }
}

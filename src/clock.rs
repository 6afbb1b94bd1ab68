//! Wall time. The only reader of it, so that a test can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

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

    /// Moves this clock and all its clones forward; tests use it in place of sleeping.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.whole_milliseconds()).unwrap_or(i64::MAX);
        self.offset_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

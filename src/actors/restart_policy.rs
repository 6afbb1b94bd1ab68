//! When a failed actor is started again: pure arithmetic, no timers.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Most restarts of one actor within [`WINDOW`].
const MAX_RESTARTS: usize = 5;
/// The time over which restarts are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// The delay before the second restart in a row; it doubles from there. The first has none.
const FIRST_DELAY: Duration = Duration::from_millis(10);

/// Counts the restarts of one actor.
#[derive(Debug, Default)]
pub(super) struct RestartPolicy {
    recent: VecDeque<Instant>,
}

impl RestartPolicy {
    /// The delay before the restart after a failure at `now`, or `None` when the budget is spent.
    pub(super) fn next_delay(&mut self, now: Instant) -> Option<Duration> {
        self.recent
            .retain(|restart| now.duration_since(*restart) < WINDOW);
        if self.recent.len() >= MAX_RESTARTS {
            return None;
        }
        let doublings = u32::try_from(self.recent.len()).ok()?.checked_sub(1);
        self.recent.push_back(now);
        Some(doublings.map_or(Duration::ZERO, |power| FIRST_DELAY * 2_u32.pow(power)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_delays_grow() {
        let mut policy = RestartPolicy::default();
        let now = Instant::now();
        let delays: Vec<_> = (0..6).map(|_| policy.next_delay(now)).collect();
        let millis = |count| Some(Duration::from_millis(count));
        assert_eq!(
            delays,
            [
                millis(0),
                millis(10),
                millis(20),
                millis(40),
                millis(80),
                None
            ]
        );
    }

    #[test]
    fn restarts_older_than_the_window_are_forgotten() {
        let mut policy = RestartPolicy::default();
        let now = Instant::now();
        for _ in 0..5 {
            policy.next_delay(now);
        }
        assert_eq!(policy.next_delay(now + WINDOW), Some(Duration::ZERO));
    }
}

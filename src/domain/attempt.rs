//! Attempts to log in, and to authenticate as a client: how many may fail within a time.
//!
//! An attempt is counted before its outcome is known, so that no number of them at once gets more
//! answers than one after the other; what did not fail is given back. What does not live here: by
//! what attempts are counted (`actors::throttle`), where the counts are kept (`stores`).

use std::time::Duration;

use time::OffsetDateTime;

/// What attempts are counted by: a digest, so that it is as short for any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey(pub [u8; 32]);

/// How many attempts may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// So many in one window; zero is none.
    pub failures: u32,
    /// The window, from its first attempt on.
    pub window: Duration,
}

/// Attempts that want to be counted under one key.
#[derive(Clone, Copy, Debug)]
pub struct AttemptRequest {
    /// The key.
    pub key: AttemptKey,
    /// How many.
    pub wanted: u32,
    /// How many may fail.
    pub limit: AttemptLimit,
}

/// Attempts that were counted under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// The key.
    pub key: AttemptKey,
    /// When the window ends in which they count.
    pub ends_at: OffsetDateTime,
}

/// How many of the attempts that wanted it were counted. The others must not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// So many.
    pub granted: u32,
    /// When the window ends.
    pub ends_at: OffsetDateTime,
    /// Whether as many have failed as may: then no more are counted before the end of the window,
    /// while otherwise one that is under way may be given back.
    pub is_exhausted: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// It failed, and counts.
    Failed,
    /// It was none, or nobody knows how it ended.
    GivenBack,
    /// It succeeded, and so those that failed before it do not count either.
    Redeemed,
}

/// What is kept under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptCount {
    /// Attempts that failed or are under way.
    pub taken: u32,
    /// Those that failed.
    pub failures: u32,
    /// When the window ends.
    pub ends_at: OffsetDateTime,
}

impl AttemptLimit {
    /// The end of a window that begins now, in whole milliseconds: so the stores keep it.
    pub fn window_end(&self, now: OffsetDateTime) -> OffsetDateTime {
        let end = now + self.window;
        end - Duration::from_nanos(u64::from(end.nanosecond() % 1_000_000))
    }

    /// The latest end of a window that another server may have begun, whose clock may be ahead. A
    /// later one is of a clock that has jumped back since, or of another setting.
    pub fn latest_end(&self, now: OffsetDateTime) -> OffsetDateTime {
        now + self.window * 2
    }
}

impl AttemptCount {
    /// What is kept after a request, and what it is told. `present` is what was kept before.
    pub fn reserve(
        present: Option<Self>,
        request: &AttemptRequest,
        now: OffsetDateTime,
    ) -> (Self, Reserved) {
        let limit = &request.limit;
        let is_current =
            |count: &Self| count.ends_at > now && count.ends_at <= limit.latest_end(now);
        let mut count = present.filter(is_current).unwrap_or(Self {
            taken: 0,
            failures: 0,
            ends_at: limit.window_end(now),
        });
        let granted = limit
            .failures
            .saturating_sub(count.taken)
            .min(request.wanted);
        count.taken += granted;
        let reserved = Reserved {
            granted,
            ends_at: count.ends_at,
            is_exhausted: count.failures >= limit.failures,
        };
        (count, reserved)
    }

    /// What is kept after so many attempts have ended.
    #[must_use]
    pub fn settle(self, outcome: AttemptOutcome, ended: u32) -> Self {
        let (taken, failures) = match outcome {
            AttemptOutcome::Failed => (self.taken, self.failures.saturating_add(ended)),
            AttemptOutcome::GivenBack => (self.taken.saturating_sub(ended), self.failures),
            AttemptOutcome::Redeemed => {
                let forgotten = self.failures.saturating_add(ended);
                (self.taken.saturating_sub(forgotten), 0)
            }
        };
        Self {
            taken,
            failures,
            ends_at: self.ends_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: AttemptLimit = AttemptLimit {
        failures: 10,
        window: Duration::from_mins(15),
    };
    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00:00.123456789 UTC);

    fn ask(
        present: Option<AttemptCount>,
        wanted: u32,
        now: OffsetDateTime,
    ) -> (AttemptCount, Reserved) {
        let request = AttemptRequest {
            key: AttemptKey([0; 32]),
            wanted,
            limit: LIMIT,
        };
        AttemptCount::reserve(present, &request, now)
    }

    #[test]
    fn as_many_are_granted_as_may_fail() {
        let (count, first) = ask(None, 7, NOON);
        assert_eq!((first.granted, first.is_exhausted), (7, false));
        let (count, second) = ask(Some(count), 7, NOON);
        assert_eq!((second.granted, second.is_exhausted), (3, false));
        let failed = count.settle(AttemptOutcome::Failed, 10);
        let (_, third) = ask(Some(failed), 7, NOON);
        assert_eq!((third.granted, third.is_exhausted), (0, true));
        assert_eq!(third.ends_at, first.ends_at);
    }

    #[test]
    fn what_is_given_back_can_be_granted_again() {
        let (count, _) = ask(None, 10, NOON);
        let count = count.settle(AttemptOutcome::Failed, 8);
        assert_eq!(count.settle(AttemptOutcome::GivenBack, 2).taken, 8);
        let redeemed = count.settle(AttemptOutcome::Redeemed, 1);
        assert_eq!((redeemed.taken, redeemed.failures), (1, 0));
    }

    #[test]
    fn a_window_begins_with_its_first_attempt_and_ends_by_the_clock() {
        let (count, first) = ask(None, 10, NOON);
        let full = count.settle(AttemptOutcome::Failed, 10);
        assert_eq!(first.ends_at.nanosecond(), 123_000_000);
        assert_eq!(
            ask(Some(full), 1, first.ends_at - Duration::from_millis(1))
                .1
                .granted,
            0
        );
        assert_eq!(ask(Some(full), 1, first.ends_at).1.granted, 1);
        // Another server's clock is behind by a minute; this one's has jumped back by an hour.
        assert_eq!(
            ask(Some(full), 1, NOON - Duration::from_mins(1)).1.granted,
            0
        );
        assert_eq!(
            ask(Some(full), 1, NOON - Duration::from_hours(1)).1.granted,
            1
        );
    }
}

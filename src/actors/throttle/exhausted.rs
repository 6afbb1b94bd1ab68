//! What this server knows to be exhausted, so that a flood of attempts does not reach the store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use super::counter::Counter;
use super::error::ThrottledBy;
use crate::domain::attempt::AttemptKey;

/// Most counts that are known. Only one that has failed as often as it may is among them, so made-up
/// names push out nothing; whoever has so many networks has the store asked again, no more.
const MOST: usize = 1_024;
/// How long a user name is believed to be exhausted: a login that was under way may redeem it.
const USER_BELIEVED_FOR: Duration = Duration::from_secs(1);

/// The exhausted counts.
#[derive(Debug, Default)]
pub(super) struct Exhausted(Mutex<HashMap<AttemptKey, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    since: OffsetDateTime,
    until: OffsetDateTime,
    ends_at: OffsetDateTime,
}

impl Exhausted {
    /// Notes that a count is exhausted until its window ends.
    pub(super) fn note(&self, counter: &Counter, ends_at: OffsetDateTime, now: OffsetDateTime) {
        let until = match counter.by {
            ThrottledBy::User => ends_at.min(now + USER_BELIEVED_FOR),
            ThrottledBy::Network | ThrottledBy::Client | ThrottledBy::Console => ends_at,
        };
        let mut known = self.known();
        if known.len() >= MOST {
            known.retain(|_, known| known.holds(now));
        }
        if known.len() >= MOST {
            known.clear();
        }
        let since = now;
        known.insert(
            counter.key,
            Known {
                since,
                until,
                ends_at,
            },
        );
    }

    /// When the window of an exhausted count ends; `None` where that is not known.
    pub(super) fn end_of(&self, counter: &Counter, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let known = self.known().get(&counter.key).copied()?;
        known.holds(now).then_some(known.ends_at)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AttemptKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    // Not while the clock stands before: it has jumped back, and the store decides.
    fn holds(&self, now: OffsetDateTime) -> bool {
        self.since <= now && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt::AttemptLimit;
    use crate::domain::network::Network;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
    const WINDOW: Duration = Duration::from_mins(15);

    fn counter(by: ThrottledBy, number: u32) -> Counter {
        let limit = AttemptLimit {
            failures: 10,
            window: WINDOW,
        };
        let network = Network::of(std::net::Ipv4Addr::from_bits(number << 8).into());
        Counter::new(by, network, "", limit)
    }

    #[test]
    fn a_network_is_known_to_the_end_of_its_window_and_a_name_for_a_second() {
        let exhausted = Exhausted::default();
        let (network, user) = (
            counter(ThrottledBy::Network, 1),
            counter(ThrottledBy::User, 1),
        );
        exhausted.note(&network, NOON + WINDOW, NOON);
        exhausted.note(&user, NOON + WINDOW, NOON);
        let second = Duration::from_secs(1);
        let nearly = Duration::from_secs(15 * 60 - 1);
        for (counter, later, is_known) in [
            (network, Duration::ZERO, true),
            (network, nearly, true),
            (network, WINDOW, false),
            (user, Duration::ZERO, true),
            (user, second, false),
            (counter(ThrottledBy::Network, 2), Duration::ZERO, false),
        ] {
            let end = exhausted.end_of(&counter, NOON + later);
            assert_eq!(end, is_known.then_some(NOON + WINDOW), "{later:?}");
        }
        assert_eq!(exhausted.end_of(&network, NOON - second), None);
    }

    #[test]
    fn no_more_is_known_than_has_room() {
        let exhausted = Exhausted::default();
        for number in 0..3 * 1_024 {
            let end = NOON + WINDOW;
            exhausted.note(&counter(ThrottledBy::Network, number), end, NOON);
            assert!(exhausted.known().len() <= MOST);
        }
    }
}

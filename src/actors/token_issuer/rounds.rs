//! Which ends are remembered together. A store may keep a round as one, for as long as any of its ends
//! has to be known, so ends that last about as long share one.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use crate::crypto::random;
use crate::domain::token::{RoundId, TokenRecord};

/// The rounds of one attempt.
pub(super) struct Rounds {
    now: OffsetDateTime,
    ids: HashMap<Lasting, RoundId>,
}

/// How long ends last: the power of two of the days for which they are remembered, and of the hours for
/// which the access token would be accepted. So none is kept for more than twice as long as it must.
type Lasting = (u32, u32);

impl Rounds {
    pub(super) fn new(now: OffsetDateTime) -> Self {
        Self {
            now,
            ids: HashMap::new(),
        }
    }

    /// The round for the ends of these records.
    pub(super) fn of(&mut self, ended: &[&TokenRecord]) -> RoundId {
        let latest = |instant: &dyn Fn(&TokenRecord) -> OffsetDateTime| {
            let instants = ended.iter().map(|record| instant(record));
            instants.max().unwrap_or(self.now)
        };
        let now = self.now;
        let forget_at = latest(&|record| record.forget_at(now));
        let expires_at = latest(&|record| record.expires_at);
        let lasting = (
            magnitude(forget_at - now, Duration::DAY),
            magnitude(expires_at - now, Duration::HOUR),
        );
        let id = || random::record_id(now);
        *self.ids.entry(lasting).or_insert_with(id)
    }
}

fn magnitude(span: Duration, unit: Duration) -> u32 {
    let units = span.whole_seconds() / unit.whole_seconds();
    u64::try_from(units)
        .ok()
        .and_then(u64::checked_ilog2)
        .map_or(0, |power| power + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_one_magnitude_differ_by_less_than_twice() {
        let of_days = |days| magnitude(Duration::days(days), Duration::DAY);
        assert_eq!([-3, 0, 1, 2, 3, 4, 365].map(of_days), [0, 0, 1, 2, 2, 3, 9]);
        let hour = magnitude(Duration::minutes(59), Duration::HOUR);
        assert_eq!(hour, magnitude(Duration::ZERO, Duration::HOUR));
    }
}

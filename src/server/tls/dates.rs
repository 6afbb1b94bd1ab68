//! Between which instants a certificate is valid, and when its end is near.

use std::path::Path;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// An end nearer than this is warned of: certificates for 90 days are renewed by then.
const NEAR: Duration = Duration::days(30);
/// Those for less time are warned of in the last third of it.
const SHORT_LIVED_PART: i32 = 3;
/// Under this, what is left is told in hours.
const LAST_DAYS: Duration = Duration::days(2);

/// The dates of one certificate of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates {
    /// Its place in the file, from 1.
    pub(super) number: usize,
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
}

impl Dates {
    /// Whether clients take it at this instant.
    pub(super) fn hold_at(&self, now: OffsetDateTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// What an operator should know at this instant. The text of an end that is near or past
    /// changes with each day, and in the last two days with each hour.
    pub(super) fn warning(&self, path: &Path, now: OffsetDateTime) -> Option<String> {
        let (number, path) = (self.number, path.display());
        let said = |instant: OffsetDateTime| instant.format(&Rfc3339).unwrap_or_default();
        let (from, until) = (said(self.not_before), said(self.not_after));
        let left = self.not_after - now;
        let lifetime = self.not_after - self.not_before;
        if now > self.not_after {
            let days = -left.whole_days();
            Some(format!(
                "certificate {number} in `{path}` expired on {until}, {days} days ago: clients \
                 will refuse it; renew it"
            ))
        } else if now < self.not_before {
            Some(format!(
                "certificate {number} in `{path}` is valid only from {from}: clients will refuse \
                 it; is this machine's clock right?"
            ))
        } else if left < NEAR.min(lifetime / SHORT_LIVED_PART) {
            let left = if left < LAST_DAYS {
                format!("{} hours", left.whole_hours() + 1)
            } else {
                format!("{} days", left.whole_days() + 1)
            };
            Some(format!(
                "certificate {number} in `{path}` expires within {left}, on {until}: renew it"
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_end_is_told_when_it_is_near_and_each_day_from_then_on() {
        let not_before = datetime!(2026-01-01 0:00 UTC);
        let rows = [
            // Days of life, days and hours from its beginning, what is told.
            (90, 0, 0, None),
            (90, 59, 23, None),
            (90, 60, 1, Some("expires within 30 days")),
            (90, 60, 2, Some("expires within 30 days")),
            (90, 61, 1, Some("expires within 29 days")),
            (90, 88, 1, Some("expires within 48 hours")),
            (90, 89, 23, Some("expires within 2 hours")),
            (90, 90, 1, Some("0 days ago")),
            (90, 93, 1, Some("3 days ago")),
            (90, -1, 0, Some("valid only from 2026-01-01T00:00:00Z")),
            (365, 330, 0, None),
            (365, 336, 0, Some("expires within 30 days")),
            (6, 3, 23, None),
            (6, 4, 1, Some("expires within 48 hours")),
        ];
        for (life, days, hours, expected) in rows {
            let dates = Dates {
                number: 1,
                not_before,
                not_after: not_before + Duration::days(life),
            };
            let now = not_before + Duration::days(days) + Duration::hours(hours);
            let told = dates.warning(Path::new("cert.pem"), now);
            let row = format!("{days} d {hours} h of {life}: {told:?}");
            assert_eq!(told.is_some(), expected.is_some(), "{row}");
            let told = told.unwrap_or_default();
            assert!(told.contains(expected.unwrap_or_default()), "{row}");
        }
    }
}

//! Log lines that an outage would write once for each request: one a second for each cause, with
//! the count of those left out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::chain::Chain;

/// Between two lines of one cause.
const PAUSE: Duration = Duration::from_secs(1);
/// A cause that was not told for so long makes room for another.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);
/// Causes that are told apart. Where there are more, as when each has a number in its text, the
/// rest count as one.
const CAUSES: usize = 32;
/// The key of the rest.
const OTHERS: u64 = 0;

/// Decides which lines of one place in the code are written; for a `static`.
#[derive(Debug)]
pub struct Sparing(LazyLock<Mutex<HashMap<u64, Told>>>);

/// A line that may be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The cause with its own causes.
    pub error: String,
    /// How many lines of this cause were left out since its last one.
    pub left_out: u64,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    left_out: u64,
}

impl Default for Sparing {
    fn default() -> Self {
        Self::new()
    }
}

impl Sparing {
    /// Has written nothing yet.
    pub const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// The line for this error, unless one of the same cause was written less than a second ago.
    pub fn line(&self, error: &dyn std::error::Error) -> Option<Line> {
        self.line_at(Chain(error).to_string(), Instant::now())
    }

    fn line_at(&self, error: String, now: Instant) -> Option<Line> {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = key(&error);
        if !causes.contains_key(&own) && causes.len() >= CAUSES {
            causes.retain(|_, told| now < told.at + FORGOTTEN_AFTER);
        }
        let is_known = causes.contains_key(&own) || causes.len() < CAUSES;
        let told = causes.entry(if is_known { own } else { OTHERS });
        let left_out = match told {
            Entry::Occupied(mut told) => told.get_mut().pass(now)?,
            Entry::Vacant(place) => {
                place.insert(Told::now(now));
                0
            }
        };
        Some(Line { error, left_out })
    }
}

impl Told {
    fn now(at: Instant) -> Self {
        Self { at, left_out: 0 }
    }

    /// How many were left out if a line is due; otherwise this one is left out, too.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        if now < self.at + PAUSE {
            self.left_out += 1;
            return None;
        }
        let left_out = self.left_out;
        *self = Self::now(now);
        Some(left_out)
    }
}

fn key(error: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    error.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_writes_a_line_a_second_for_each_cause() {
        let (sparing, start) = (Sparing::new(), Instant::now());
        let mut lines = Vec::new();
        // Ten seconds of a thousand requests each, every tenth of another cause.
        for number in 0..10_000_u64 {
            let cause = if number % 10 == 0 { "rare" } else { "usual" };
            let now = start + Duration::from_millis(number);
            lines.extend(sparing.line_at(cause.to_owned(), now));
        }
        let of = |cause: &str| -> Vec<u64> {
            let own = lines.iter().filter(|line| line.error == cause);
            own.map(|line| line.left_out).collect()
        };
        assert_eq!(of("rare"), [[0].as_slice(), &[99; 9]].concat());
        assert_eq!(of("usual").len(), 10);
        assert!(of("usual")[1..].iter().all(|left_out| *left_out >= 899));
    }

    #[test]
    fn causes_that_are_all_different_do_not_add_up() {
        let (sparing, start) = (Sparing::new(), Instant::now());
        let line = |number: u64| {
            let now = start + Duration::from_millis(number);
            sparing.line_at(format!("cause {number}"), now)
        };
        let lines: Vec<Line> = (0..10_000).filter_map(line).collect();
        assert!(lines.len() <= 10 * (CAUSES + 1), "{}", lines.len());
        let left_out: u64 = lines.iter().map(|line| line.left_out).sum();
        assert!(left_out > 8_000, "{left_out}");
    }
}

//! What callers in a closed loop get done until a deadline.

use std::fmt;
use std::time::{Duration, Instant};

use super::Outcome;
use super::report::{count, median};

/// Counts what is done, and how long each took.
pub(crate) struct Tally {
    deadline: Instant,
    length: Duration,
    latencies: Vec<Duration>,
}

/// What it comes to. Shown as [`Pace::parse`] reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How many in a second.
    pub(crate) per_second: f64,
    /// The median of how long one took.
    pub(crate) median_micros: f64,
}

impl Tally {
    /// For a round that begins now.
    pub(crate) fn new(start: Instant, length: Duration) -> Self {
        Self {
            deadline: start + length,
            length,
            latencies: Vec::new(),
        }
    }

    /// Adds what one caller got done, from when to when. What came after the deadline found less
    /// and less company.
    pub(crate) fn add(&mut self, done: &[(Instant, Instant)]) {
        let in_time = done.iter().filter(|(_, end)| *end <= self.deadline);
        self.latencies
            .extend(in_time.map(|(start, end)| *end - *start));
    }

    /// What it comes to.
    pub(crate) fn pace(&self) -> Pace {
        let latencies = self.latencies.iter().map(Duration::as_secs_f64);
        Pace {
            per_second: count(self.latencies.len()) / self.length.as_secs_f64(),
            median_micros: median(latencies) * 1e6,
        }
    }
}

/// So many hundredths of these, which are sorted, are not longer.
pub(crate) fn percentile(latencies: &[Duration], hundredths: usize) -> Duration {
    let at = latencies.len().saturating_sub(1) * hundredths / 100;
    latencies.get(at).copied().unwrap_or_default()
}

impl Pace {
    /// Reads what another process told.
    ///
    /// # Errors
    /// When it is nothing of the kind.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let (per_second, median_micros) = text.split_once(' ').ok_or("a tally of one figure")?;
        Ok(Self {
            per_second: per_second.parse()?,
            median_micros: median_micros.parse()?,
        })
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.per_second, self.median_micros)
    }
}

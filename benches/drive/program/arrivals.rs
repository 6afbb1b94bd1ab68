//! When requests are due, and a thread that says so on time.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use super::random::Random;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// At equal distances.
    Constant,
    /// At random, independent of each other, as those of many people are.
    Poisson,
}

/// The moments at which requests are due, counted from the first second.
pub(crate) struct Moments {
    arrivals: Arrivals,
    rate: f64,
    random: Random,
    given: u32,
    last: f64,
}

impl Moments {
    /// `rate` moments a second.
    pub(crate) fn new(arrivals: Arrivals, rate: f64, random: Random) -> Self {
        Self {
            arrivals,
            rate,
            random,
            given: 0,
            last: 0.0,
        }
    }
}

impl Iterator for Moments {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.last = match self.arrivals {
            // Not a sum of distances, whose errors would sum as well.
            Arrivals::Constant => f64::from(self.given) / self.rate,
            Arrivals::Poisson => self.last - self.random.fraction().ln() / self.rate,
        };
        self.given += 1;
        Some(Duration::from_secs_f64(self.last))
    }
}

/// Hands each of `moments` after `start` over when it comes. It blocks: the timers of a runtime
/// have a grain of a millisecond, which would be part of every latency.
pub(crate) fn pace(
    start: Instant,
    moments: impl Iterator<Item = Duration>,
    out: &UnboundedSender<Instant>,
) {
    for moment in moments {
        let due = start + moment;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        if out.send(due).is_err() {
            return;
        }
    }
}

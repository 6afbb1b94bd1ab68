//! How long a run is: short unless a variable of the environment says otherwise.

use std::str::FromStr;
use std::time::{Duration, Instant};

/// The number that this variable holds, or `default`.
#[track_caller]
pub(crate) fn number<T: FromStr>(variable: &str, default: T) -> T {
    let Some(text) = std::env::var_os(variable) else {
        return default;
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{variable} is no number: {}", text.display()))
}

/// The rounds of a test: as many as this variable says, or as fit some time.
pub(crate) struct Rounds {
    wanted: u64,
    done: u64,
    deadline: Instant,
}

impl Rounds {
    /// Rounds that last `about` so long together, unless the variable says how many.
    pub(crate) fn lasting(about: Duration, variable: &str) -> Self {
        Self {
            wanted: number(variable, 0),
            done: 0,
            deadline: Instant::now() + about,
        }
    }
}

impl Iterator for Rounds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let is_over = match self.wanted {
            0 => Instant::now() > self.deadline,
            wanted => self.done == wanted,
        };
        if is_over {
            return None;
        }
        self.done += 1;
        Some(self.done - 1)
    }
}

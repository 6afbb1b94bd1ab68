//! Figures for people: `cargo test --test resilience -- --nocapture` shows them.

use std::fmt::Display;
use std::time::Duration;

/// Tells a figure.
#[expect(clippy::print_stderr, reason = "that is what it is for")]
pub(crate) fn tell(figure: impl Display) {
    eprintln!("{figure}");
}

/// Median, 99th of 100, and longest of these.
pub(crate) fn spread(times: &mut [Duration]) -> (Duration, Duration, Duration) {
    times.sort();
    let last = times.len() - 1;
    (times[last / 2], times[last * 99 / 100], times[last])
}

//! Slow and hostile peers: bounded time, bounded memory, healthy clients unharmed.
//!
//! The counts are those of a short run; `SENTINEL_TEST_SCALE=25` makes them the promised ones.

mod exhaustion;
mod floods;
mod oversized;
mod parked;
mod slow;

use crate::support::length::number;

/// A count of a short run, times `SENTINEL_TEST_SCALE`.
pub(crate) fn scaled(count: usize) -> usize {
    count * number("SENTINEL_TEST_SCALE", 1)
}

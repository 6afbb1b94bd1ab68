//! Slow and hostile peers: bounded time, bounded memory, healthy clients unharmed.
//!
//! The counts are those of a short run; `SENTINEL_TEST_SCALE=25` makes them the promised ones.

mod exhaustion;
mod floods;
mod oversized;
mod slow;

/// A count of a short run, times `SENTINEL_TEST_SCALE`.
pub(crate) fn scaled(count: usize) -> usize {
    let scale = std::env::var_os("SENTINEL_TEST_SCALE");
    let scale = scale.map_or(1, |scale| scale.to_str().unwrap().parse().unwrap());
    count * scale
}

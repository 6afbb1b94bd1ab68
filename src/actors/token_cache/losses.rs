//! Whether a Redis may lack live tokens: it was emptied, refused them, or could not be told.

use std::sync::atomic::{AtomicU64, Ordering};

/// The losses of one Redis, as all its shards note them, over all their lives.
#[derive(Debug, Default)]
pub(super) struct Losses {
    noted: AtomicU64,
    made_good: AtomicU64,
}

impl Losses {
    /// Notes one, and tells how many there were so far.
    pub(super) fn note(&self) -> u64 {
        self.noted.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// How many there were so far: a look through all live tokens that begins now makes them good.
    pub(super) fn so_far(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// Notes that so many were made good.
    pub(super) fn make_good(&self, count: u64) {
        self.made_good.fetch_max(count, Ordering::AcqRel);
    }

    /// Whether some were not made good.
    pub(super) fn is_open(&self) -> bool {
        self.made_good.load(Ordering::Acquire) < self.so_far()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_during_a_look_calls_for_another_one() {
        let losses = Losses::default();
        assert!(!losses.is_open());
        losses.note();
        let begun = losses.so_far();
        losses.note();
        losses.make_good(begun);
        assert!(losses.is_open());
        losses.make_good(losses.so_far());
        assert!(!losses.is_open());
    }
}

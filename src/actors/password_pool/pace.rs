//! How fast passwords are hashed, to tell beforehand who would wait in vain.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long a hash took lately, the lanes beside it included.
#[derive(Debug, Default)]
pub(super) struct Pace {
    micros: AtomicU64,
}

impl Pace {
    // Several workers may note at once and one of them be forgotten: an estimate has no use for more.
    pub(super) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = match self.micros.load(Relaxed) {
            0 => took,
            before => before,
        };
        self.micros.store(before - before / 4 + took / 4, Relaxed);
    }

    /// How long one waits behind so many until its own digest is begun, when so many are computed at
    /// once; nothing before the first one is done.
    pub(super) fn until_turn(&self, ahead: usize, at_once: usize) -> Duration {
        let rounds = u32::try_from(ahead / at_once.max(1)).unwrap_or(u32::MAX);
        self.each().saturating_mul(rounds)
    }

    /// How long one waits for its own digest.
    pub(super) fn wait(&self, ahead: usize, at_once: usize) -> Duration {
        self.until_turn(ahead, at_once).saturating_add(self.each())
    }

    fn each(&self) -> Duration {
        Duration::from_micros(self.micros.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_queue_and_follows_the_hashes() {
        let pace = Pace::default();
        assert_eq!(pace.wait(1_000, 2), Duration::ZERO);
        pace.note(Duration::from_millis(200));
        assert_eq!(pace.wait(1, 2), Duration::from_millis(200));
        assert_eq!(pace.wait(48, 2), Duration::from_secs(5));
        assert_eq!(pace.until_turn(1, 2), Duration::ZERO);
        assert_eq!(pace.until_turn(48, 2), Duration::from_millis(4_800));
        for _ in 0..20 {
            pace.note(Duration::from_millis(400));
        }
        assert!(pace.wait(48, 2) > Duration::from_millis(9_900));
        assert!(pace.wait(48, 2) <= Duration::from_secs(10));
    }
}

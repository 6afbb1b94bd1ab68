//! The order of invalidations and look-ups: which of two came first.

use std::collections::{HashSet, VecDeque};

use super::Source;
use super::entries::Key;
use crate::domain::token_key::TokenKey;

/// Most invalidations that a look-up may be overtaken by and still be compared with.
pub(super) const FORGOTTEN: usize = 4_096;

/// How many invalidations there were before a look-up.
#[derive(Clone, Copy)]
pub(in crate::actors::token_cache) struct Noted(u64);

/// What came since when, and who tells of it.
#[derive(Default)]
pub(super) struct Order {
    invalidations: u64,
    /// The latest invalidated tokens, each with the number of its invalidation.
    forgotten: VecDeque<(u64, Key)>,
    /// A look-up noted before this many invalidations is too old to be compared.
    known_since: u64,
    pub(super) source: Source,
    /// How many connections there were, over all lives of the actor.
    pub(super) connections: u64,
    /// The last connection that was lost: it may be lost before it is trusted.
    pub(super) lost: u64,
}

impl Order {
    pub(super) fn note(&self) -> Noted {
        Noted(self.invalidations)
    }

    pub(super) fn note_forgotten(&mut self, token: &TokenKey) {
        self.invalidations += 1;
        self.forgotten
            .push_back((self.invalidations, Key::of(token)));
        if self.forgotten.len() > FORGOTTEN {
            self.known_since = self.forgotten.pop_front().map_or(0, |(at, _)| at);
        }
    }

    pub(super) fn note_all_forgotten(&mut self) {
        self.invalidations += 1;
        self.known_since = self.invalidations;
        self.forgotten.clear();
    }

    /// The tokens that were invalidated since a look-up, here or elsewhere; `None` when nobody knows
    /// all of them.
    pub(super) fn forgotten_since(&self, noted: Noted) -> Option<HashSet<&Key>> {
        if self.source == Source::None {
            return None;
        }
        self.forgotten_here_since(noted)
    }

    /// The tokens that this server knows to have been invalidated since a look-up; `None` when there
    /// were too many.
    pub(super) fn forgotten_here_since(&self, noted: Noted) -> Option<HashSet<&Key>> {
        if noted.0 < self.known_since {
            return None;
        }
        let latest_first = self.forgotten.iter().rev();
        let since = latest_first.take_while(|(at, _)| *at > noted.0);
        Some(since.map(|(_, token)| token).collect())
    }
}

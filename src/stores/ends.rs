//! What the memory of ends is asked, and what it tells.
//!
//! Ends are remembered by the round: those of one are written together, read together and, as a rule,
//! settled together.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::domain::token::{EndedToken, RoundId};
use crate::domain::token_key::TokenKey;

/// Which remembered ends are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// All of them.
    All,
    /// Those of which the fast copy may not have been told.
    Unpublished,
}

/// Some remembered ends.
#[derive(Debug)]
pub struct EndsPage {
    /// There may be none although there are more.
    pub ends: Vec<EndedToken>,
    /// Where to go on; `None` at the end.
    pub next: Option<EndsMark>,
}

/// How far a store has listed its ends.
#[derive(Clone, Debug)]
pub struct EndsMark {
    /// The expiry by which what was listed last is ordered.
    pub expires_at: OffsetDateTime,
    /// What that is called in the store.
    pub name: String,
}

/// What became of the ends of one round.
#[derive(Clone, Debug, Default)]
pub struct SettledEnds {
    /// Access tokens of ends whose callers were answered.
    pub answered: Vec<TokenKey>,
    /// Access tokens of ends that the fast copy was told of.
    pub published: Vec<TokenKey>,
    /// How many ends the round has, where that is known.
    pub remembered: Option<usize>,
}

/// By round, what became of its ends.
pub type SettledRounds = HashMap<RoundId, SettledEnds>;

impl SettledEnds {
    /// Whether there is nothing left to note of the round.
    pub fn is_whole(&self) -> bool {
        let is_all = |noted: &[TokenKey]| Some(noted.len()) == self.remembered;
        is_all(&self.answered) && is_all(&self.published)
    }

    /// Notes that the fast copy was told of these ends.
    pub fn published<'e>(ends: impl IntoIterator<Item = &'e EndedToken>) -> SettledRounds {
        let mut rounds = SettledRounds::new();
        for end in ends {
            let of_round = rounds.entry(end.round).or_default();
            of_round.published.push(end.access_token.clone());
        }
        rounds
    }
}

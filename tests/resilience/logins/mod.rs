//! Floods of logins beside verification.

mod floods;
mod reset;

/// Hashes that a bcrypt worker computes at once.
const LANES: usize = 6;

//! Floods of logins beside verification, guesses, and how long a refusal takes.

mod floods;
mod reset;
mod throttle;
mod timing;

/// Hashes that a bcrypt worker computes at once.
const LANES: usize = 6;

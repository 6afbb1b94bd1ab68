//! What a bcrypt thread is asked for, and what it has begun.

use std::time::{Duration, Instant};

use bcrypt_lanes::Digest;

use super::PasswordPoolError;
use crate::actors::handle::Call;
use crate::crypto::password::{self, Comparing, Comparison, Making, Recipe};
use crate::domain::user::{Password, PasswordHash};
use crate::telemetry::metrics::CORRUPT_PASSWORD_HASHES;

/// A password to be compared.
pub(super) struct Verify {
    pub(super) password: Password,
    pub(super) hash: PasswordHash,
}

/// What a worker is asked for.
pub(super) enum Job {
    Verify(Call<Verify, Result<bool, PasswordPoolError>>),
    Hash(Call<Password, Result<PasswordHash, PasswordPoolError>>),
}

/// A job in a lane.
pub(super) struct Begun {
    since: Instant,
    work: Work,
}

enum Work {
    Comparing(Call<Verify, Result<bool, PasswordPoolError>>, Comparing),
    Making(
        Call<Password, Result<PasswordHash, PasswordPoolError>>,
        Making,
    ),
}

impl Begun {
    /// `None` when the password cannot be hashed, which its caller is told.
    pub(super) fn new(job: Job, dummy: &PasswordHash, cost: u32) -> Option<Self> {
        let work = match job {
            Job::Verify(call) => {
                let Verify { password, hash } = &call.request;
                let comparing = Comparing::new(password.as_bytes(), hash, dummy);
                Work::Comparing(call, comparing)
            }
            Job::Hash(call) => match Making::new(&call.request, cost) {
                Ok(making) => Work::Making(call, making),
                Err(error) => {
                    call.answer(Err(PasswordPoolError::Unhashable(error.into())));
                    return None;
                }
            },
        };
        let since = Instant::now();
        Some(Self { since, work })
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Answers with what the digest tells.
    pub(super) fn finish(self, digest: &Digest) {
        match self.work {
            Work::Comparing(call, comparing) => {
                let comparison = comparing.decide(digest);
                if comparison == Comparison::Corrupt {
                    metrics::counter!(CORRUPT_PASSWORD_HASHES).increment(1);
                }
                call.answer(Ok(comparison == Comparison::Match));
            }
            Work::Making(call, making) => {
                call.answer(Ok(making.finish(digest)));
            }
        }
    }

    pub(super) fn password(&self) -> &Password {
        match &self.work {
            Work::Comparing(call, _) => &call.request.password,
            Work::Making(call, _) => &call.request,
        }
    }

    pub(super) fn recipe(&self) -> Recipe {
        match &self.work {
            Work::Comparing(_, comparing) => comparing.recipe,
            Work::Making(_, making) => making.recipe,
        }
    }

    // It was begun, so it does not count as skipped.
    pub(super) fn is_given_up(&self) -> bool {
        match &self.work {
            Work::Comparing(call, _) => !call.is_awaited(),
            Work::Making(call, _) => !call.is_awaited(),
        }
    }
}

impl Job {
    pub(super) fn cost(&self, of_new: u32) -> u32 {
        let stored = match self {
            Self::Verify(call) => password::cost_of(&call.request.hash),
            Self::Hash(_) => None,
        };
        stored.unwrap_or(of_new)
    }

    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Verify(call) => call.is_stale(),
            Self::Hash(call) => call.is_stale(),
        }
    }

    pub(super) fn refuse(self) {
        match self {
            Self::Verify(call) => call.shed(Err(PasswordPoolError::Overloaded)),
            Self::Hash(call) => call.shed(Err(PasswordPoolError::Overloaded)),
        }
    }
}

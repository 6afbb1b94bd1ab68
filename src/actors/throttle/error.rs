//! Why an attempt is not to be looked at.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use time::OffsetDateTime;

use crate::actors::handle::AskError;
use crate::stores::error::StoreError;
use crate::telemetry::metrics::THROTTLED;
use crate::telemetry::sparing::{Line, Sparing};

/// The shortest that anybody is told to wait.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Too many attempts have failed, or as many as may fail are under way.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many attempts have failed by {}", by.as_str())]
pub struct Throttled {
    /// What they were counted by.
    pub by: ThrottledBy,
    /// When another one may be looked at.
    pub retry_after: Duration,
}

/// What attempts are counted by, of one network each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottledBy {
    /// The logins of one user name.
    User,
    /// All logins.
    Network,
    /// The client authentications.
    Client,
    /// The logins at the console.
    Console,
}

/// Why an attempt is not to be looked at.
#[derive(Clone, Debug, Error)]
pub enum ThrottleError {
    /// Too many have failed.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many wait to be counted.
    #[error("too many attempts wait to be counted")]
    Overloaded,
    /// The store or the actor is not available.
    #[error("attempts cannot be counted now")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl Throttled {
    /// Refuses an attempt until then, and counts that it did.
    pub(super) fn until(by: ThrottledBy, until: OffsetDateTime, now: OffsetDateTime) -> Self {
        static REFUSED: Sparing = Sparing::new();
        let wait = Duration::try_from(until - now).unwrap_or_default();
        let throttled = Self {
            by,
            retry_after: wait.max(LEAST_WAIT),
        };
        metrics::counter!(THROTTLED, "by" => by.as_str()).increment(1);
        if let Some(Line { error, left_out }) = REFUSED.line(&throttled) {
            tracing::warn!(error = %error, left_out, "an attempt was refused unseen");
        }
        throttled
    }

    /// Refuses an attempt for which there may be room in a moment.
    pub(super) fn for_a_moment(by: ThrottledBy, now: OffsetDateTime) -> Self {
        Self::until(by, now, now)
    }
}

impl ThrottledBy {
    /// Its word in metrics and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Network => "network",
            Self::Client => "client",
            Self::Console => "console",
        }
    }
}

impl From<AskError> for ThrottleError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Gone | AskError::Panicked | AskError::Timeout => {
                Self::Unavailable(Arc::new(error))
            }
        }
    }
}

impl From<StoreError> for ThrottleError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

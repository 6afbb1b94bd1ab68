//! Why no token was issued or revoked.

use std::sync::Arc;

use thiserror::Error;

use crate::actors::handle::AskError;
use crate::actors::password_pool::PasswordPoolError;
use crate::actors::throttle::error::{ThrottleError, Throttled};
use crate::actors::token_cache::CacheError;
use crate::actors::user_registry::RegistryError;
use crate::domain::error::GrantError;
use crate::stores::error::StoreError;

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why no token was issued or revoked.
#[derive(Clone, Debug, Error)]
pub enum IssueError {
    /// Refused by rule (RFC 6749 §5.2).
    #[error(transparent)]
    Rejected(#[from] GrantError),
    /// Too many attempts have failed; nothing was looked at.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many logins or writes wait; nothing was begun.
    #[error("too many requests wait")]
    Overloaded,
    /// A store or an actor is not available. Nothing was acknowledged; a repeat is safe.
    #[error("tokens cannot be written now")]
    Unavailable(#[source] Cause),
}

impl From<AskError> for IssueError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Gone | AskError::Panicked | AskError::Timeout => {
                Self::Unavailable(Arc::new(error))
            }
        }
    }
}

impl From<RegistryError> for IssueError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Overloaded => Self::Overloaded,
            RegistryError::Taken | RegistryError::Unavailable(_) => {
                Self::Unavailable(Arc::new(error))
            }
        }
    }
}

impl From<PasswordPoolError> for IssueError {
    fn from(error: PasswordPoolError) -> Self {
        match error {
            PasswordPoolError::Overloaded => Self::Overloaded,
            PasswordPoolError::Gone(_) | PasswordPoolError::Unhashable(_) => {
                Self::Unavailable(Arc::new(error))
            }
        }
    }
}

impl From<ThrottleError> for IssueError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::Throttled(throttled) => Self::Throttled(throttled),
            ThrottleError::Overloaded => Self::Overloaded,
            ThrottleError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

impl From<CacheError> for IssueError {
    fn from(error: CacheError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

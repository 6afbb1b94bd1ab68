//! Why the console or its API could not do what was asked.

use thiserror::Error;

use crate::actors::handle::AskError;
use crate::actors::password_pool::PasswordPoolError;
use crate::actors::throttle::error::{ThrottleError, Throttled};
use crate::actors::token_issuer::error::IssueError;
use crate::actors::user_registry::RegistryError;
use crate::domain::error::RecordError;

/// Why the console or its API could not do what was asked.
#[derive(Debug, Error)]
pub enum ManagementError {
    /// The record breaks a rule.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another record has the name.
    #[error("the name is taken")]
    Taken,
    /// Too many logins have failed; this one was not looked at.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// Too much waits; nothing was begun.
    #[error("too many requests wait")]
    Overloaded,
    /// A store or an actor is not available; a repeat is safe.
    #[error("users, clients and tokens cannot be read or written now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<AskError> for ManagementError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Gone | AskError::Panicked | AskError::Timeout => {
                Self::Unavailable(error.into())
            }
        }
    }
}

impl From<RegistryError> for ManagementError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Taken => Self::Taken,
            RegistryError::Overloaded => Self::Overloaded,
            RegistryError::Unavailable(_) => Self::Unavailable(error.into()),
        }
    }
}

impl From<PasswordPoolError> for ManagementError {
    fn from(error: PasswordPoolError) -> Self {
        match error {
            PasswordPoolError::Overloaded => Self::Overloaded,
            PasswordPoolError::Gone(_) | PasswordPoolError::Unhashable(_) => {
                Self::Unavailable(error.into())
            }
        }
    }
}

impl From<ThrottleError> for ManagementError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::Throttled(throttled) => Self::Throttled(throttled),
            ThrottleError::Overloaded => Self::Overloaded,
            ThrottleError::Unavailable(_) => Self::Unavailable(error.into()),
        }
    }
}

impl From<IssueError> for ManagementError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Throttled(throttled) => Self::Throttled(throttled),
            IssueError::Overloaded => Self::Overloaded,
            IssueError::Rejected(_) | IssueError::Unavailable(_) => Self::Unavailable(error.into()),
        }
    }
}

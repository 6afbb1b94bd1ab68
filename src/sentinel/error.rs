//! Why we did not start, or stopped; and the exit code that says so.

use std::io;

use thiserror::Error as ThisError;
use time::OffsetDateTime;

use crate::actors::management::error::ManagementError;
use crate::http::pages::PagesError;
use crate::server::listener::BindError;
use crate::server::tls::error::TlsError;
use crate::stores::error::{OpenError, StoreError};

/// Bad configuration (`EX_CONFIG`).
const CONFIGURATION: u8 = 78;
/// A store cannot be reached (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The restart budget of an actor is spent (`EX_SOFTWARE`).
const SOFTWARE: u8 = 70;

/// Why the server did not start.
#[derive(Debug, ThisError)]
pub enum StartError {
    /// The clock stands before this program was made.
    #[error(
        "the clock says {0}, which is before this program was made; set it, or wait until it is \
         in step, and start again"
    )]
    Clock(OffsetDateTime),
    /// A setting does not fit the rest.
    #[error("{0}")]
    Setting(String),
    /// The truth cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The truth failed right after it was opened.
    #[error("the store failed at start")]
    StoreFailed(#[from] StoreError),
    /// The certificate or its key cannot be used.
    #[error("SENTINEL_TLS_CERT, SENTINEL_TLS_KEY: the pair cannot be used")]
    Tls(#[from] TlsError),
    /// A template cannot be used.
    #[error("SENTINEL_TEMPLATES: the templates cannot be used")]
    Pages(#[source] PagesError),
    /// An address cannot be listened on.
    #[error("{setting}: the address cannot be listened on")]
    Bind {
        /// The setting that gives it.
        setting: &'static str,
        /// Why not.
        source: BindError,
    },
    /// The system does not tell the address it gave.
    #[error("the address of the listener is unknown")]
    Address(#[source] io::Error),
    /// The bcrypt threads cannot be started.
    #[error("the system refuses threads for bcrypt")]
    Threads(#[source] io::Error),
    /// The actors cannot be started.
    #[error("the actors cannot be started: {0}")]
    Actors(String),
    /// What `dev` needs could not be made.
    #[error("the user or the client of `sentinel dev` cannot be made")]
    DevRecords(#[from] ManagementError),
    /// What `dev` keeps in its data folder cannot be read or written.
    #[error("{path} cannot be used: {reason}")]
    DevFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StartError {
    /// The exit code of a process that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            // A clock may still come in step after a boot: who restarts should try again.
            Self::Clock(_)
            | Self::Store(OpenError::Unreachable { .. })
            | Self::StoreFailed(_)
            | Self::DevRecords(_) => UNAVAILABLE,
            Self::Threads(_) | Self::Actors(_) => SOFTWARE,
            Self::Setting(_)
            | Self::Store(OpenError::Duplicates(_) | OpenError::Unusable(_))
            | Self::Tls(_)
            | Self::Pages(_)
            | Self::Bind { .. }
            | Self::Address(_)
            | Self::DevFile { .. } => CONFIGURATION,
        }
    }
}

impl From<PagesError> for StartError {
    fn from(error: PagesError) -> Self {
        match error {
            PagesError::ErrorPage(_) => Self::Setting(error.to_string()),
            PagesError::Unreadable { .. } | PagesError::Template(_) => Self::Pages(error),
        }
    }
}

/// Why a running server ended.
#[derive(Debug, ThisError)]
pub enum RunError {
    /// It did not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An actor failed too often to be started again.
    #[error("{0}")]
    Actor(String),
}

impl RunError {
    /// The exit code of a process that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start(error) => error.exit_code(),
            Self::Actor(_) => SOFTWARE,
        }
    }
}

//! What can go wrong with a store. A missing record is not an error but a `None`.

use std::error::Error;

use thiserror::Error as ThisError;

/// The cause as the driver tells it.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A store did not do what was asked.
#[derive(Debug, ThisError)]
pub enum StoreError {
    /// It could not be reached, or it refused to serve. The outcome of a write is unknown.
    #[error("the {store} store is unavailable")]
    Unavailable {
        /// Which store, for people.
        store: &'static str,
        /// The driver's error.
        #[source]
        source: Cause,
    },
    /// It did not answer within the deadline. The outcome of a write is unknown.
    #[error("the {store} store did not answer in time")]
    Timeout {
        /// Which store, for people.
        store: &'static str,
    },
    /// A record has a shape that neither we nor Flask-Sentinel write.
    #[error("a record in {place} cannot be read: {what}")]
    Corrupt {
        /// Collection or table.
        place: &'static str,
        /// What is wrong with it; never a value.
        what: &'static str,
    },
}

/// Why a record could not be inserted.
#[derive(Debug, ThisError)]
pub enum InsertError {
    /// Another record has this name; names are unique.
    #[error("the name is taken")]
    Taken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Not all was noted of how attempts ended.
#[derive(Debug, ThisError)]
#[error("not all was noted of how attempts ended")]
pub struct SettleError {
    /// Those of which certainly nothing was, by their place: they may be noted again. Of others nobody
    /// knows.
    pub undone: Vec<usize>,
    /// The first of the causes.
    #[source]
    pub source: StoreError,
}

/// Why a store cannot be used at start.
#[derive(Debug, ThisError)]
pub enum OpenError {
    /// It cannot be reached. Says where, never the credentials.
    #[error(
        "{store} at {address} cannot be reached within {seconds} s: {reason}; \
         start it, or mend its address in the settings"
    )]
    Unreachable {
        /// Which store, for people.
        store: &'static str,
        /// Host and port, or the path of a file.
        address: String,
        /// How long we tried.
        seconds: u64,
        /// The driver's words, without credentials.
        reason: String,
    },
    /// The data break a rule that an index would hold. Nothing was changed.
    #[error("{0}")]
    Duplicates(String),
    /// A setting of the store, or its file, cannot be used.
    #[error("{0}")]
    Unusable(String),
}

//! What is wrong with the settings, one line for each fault.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::keys::Key;
use super::redact;

/// Why the settings cannot be used: every fault that was found.
#[derive(Debug, Error)]
#[error("{}", lines(.faults))]
pub struct SettingsError {
    /// The faults; never empty.
    pub faults: Vec<Fault>,
}

/// One fault of the settings; its text is one line and shows no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The configuration file as a whole.
    #[error("configuration file {}: {reason}; {mend}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// A key nobody knows.
    #[error("{name} (from {origin}): unknown setting; {hint}")]
    Unknown {
        /// The key as written.
        name: String,
        /// Where it stands.
        origin: Origin,
        /// The nearest known one.
        hint: String,
    },
    /// A setting of Flask-OAuthlib that has no meaning here.
    #[error(
        "{name} (from {origin}): not supported, tokens are always made by the operating \
             system's generator; remove it"
    )]
    Unsupported {
        /// The key.
        name: &'static str,
        /// Where it stands.
        origin: Origin,
    },
    /// A setting that is needed but has no value.
    #[error("{name}: not set; {mend}")]
    Missing {
        /// The key.
        name: &'static str,
        /// How to mend it.
        mend: String,
    },
    /// A value that will not do.
    #[error("{name} = {shown} (from {origin}): {reason}; {mend}")]
    Invalid {
        /// The key.
        name: &'static str,
        /// The value, secrets redacted.
        shown: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong.
        reason: String,
        /// How to mend it.
        mend: String,
    },
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the default.
    Default,
    /// In this configuration file.
    File(PathBuf),
    /// In the environment.
    Environment,
    /// By this flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => path.display().fmt(formatter),
            Self::Environment => formatter.write_str("environment"),
            Self::Flag(flag) => formatter.write_str(flag),
        }
    }
}

/// What is wrong with a value, and how to mend it.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) reason: String,
    pub(super) mend: String,
}

impl Wrong {
    pub(super) fn new(reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            mend: mend.into(),
        }
    }

    pub(super) fn of(self, key: &Key, raw: &Raw) -> Fault {
        Fault::Invalid {
            name: key.name,
            shown: raw.shown(key),
            origin: raw.origin.clone(),
            // Either may quote the value.
            reason: redact::on_one_line(&self.reason),
            mend: redact::on_one_line(&self.mend),
        }
    }
}

/// A value as text, with its origin. It may be a secret, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Raw {
    /// The value as it may be shown; text in quotes, so that blanks show.
    fn shown(&self, key: &Key) -> String {
        format!("'{}'", redact::shown(key, &self.text))
    }
}

fn lines(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

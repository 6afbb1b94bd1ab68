//! Which server the administration commands speak to, as whom, and what certificate they trust.
//!
//! Settings are asked only for what the command line does not say, so that a setting that matters
//! to the server alone stands in nobody's way.

pub(super) mod address;
pub(super) mod credentials;
pub(super) mod trust;

use std::io;
use std::path::PathBuf;

use clap::Args;
use thiserror::Error;
use url::Url;

use super::flags::SourceFlags;
use super::input::InputError;
use crate::settings::Settings;
use crate::settings::fault::{Origin, SettingsError};
use crate::settings::load::Loaded;
use crate::settings::sources::Mode;
use address::Address;
use credentials::Credentials;
use trust::Trust;

/// Flags of the administration commands.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionFlags {
    /// Console to speak to, such as `https://host:5000/oauth/management` [default: from settings]
    #[arg(long, value_name = "URL", global = true, value_parser = address::parse)]
    url: Option<Url>,
    /// User name of the console [default: from the settings]
    #[arg(long, value_name = "NAME", global = true)]
    username: Option<String>,
    /// Read the console's password from the first line of standard input
    #[arg(long, global = true)]
    management_password_stdin: bool,
    /// PEM file of the only certificates to trust
    #[arg(long, value_name = "FILE", global = true)]
    ca_cert: Option<PathBuf>,
    /// Do not verify the server's certificate: anyone on the way can read the password
    #[arg(long, global = true, conflicts_with = "ca_cert")]
    insecure: bool,
    #[command(flatten)]
    sources: SourceFlags,
    /// Print JSON for programs
    #[arg(long, global = true, help_heading = None::<&'static str>)]
    pub(super) json: bool,
}

/// Everything a request needs.
#[derive(Debug)]
pub(super) struct Connection {
    /// Where the API is.
    pub(super) address: Address,
    /// As whom to ask.
    pub(super) credentials: Credentials,
    /// What certificate to trust.
    pub(super) trust: Trust,
}

/// Why the server cannot be asked.
#[derive(Debug, Error)]
pub(super) enum ConnectionError {
    /// What the command line leaves open cannot be read from the settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The settings turn the console off, and its API with it.
    #[error("SENTINEL_MANAGEMENT_URL is false, so there is no API to ask; name another with --url")]
    ManagementOff,
    /// The port is chosen at start.
    #[error(
        "SENTINEL_LISTEN has port 0, so the port is not known here; name the server with --url"
    )]
    NoPort,
    /// The password would be readable on the way.
    #[error(
        "{0} would carry the console's password unencrypted; write https://, or add --insecure"
    )]
    Plain(Url),
    /// A file of certificates is of no use.
    #[error("the certificates in {} cannot be used: {reason}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing says who the console's user is.
    #[error(
        "the console's user is not known: set SENTINEL_MANAGEMENT_USERNAME and \
         SENTINEL_MANAGEMENT_PASSWORD as the server has them, or give --username and \
         --management-password-stdin"
    )]
    NoCredentials,
    /// A user is named whose password is not known.
    #[error(
        "the password of console user {username} is not known: add --management-password-stdin"
    )]
    NoPassword {
        /// The user.
        username: String,
    },
    /// The settings hold the hash of the password.
    #[error(
        "SENTINEL_MANAGEMENT_PASSWORD is a bcrypt hash, and the plain password is needed to sign \
         in: add --management-password-stdin"
    )]
    Hashed,
    /// The credentials that `sentinel dev` keeps cannot be read.
    #[error("{} cannot be read: {reason}; start sentinel dev again, or remove it", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: io::Error,
    },
    /// The password on standard input cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
}

/// The settings, as far as they can be read.
struct Known(Result<Loaded, SettingsError>);

impl ConnectionFlags {
    /// Works out the connection; reads the console's password from standard input if told to.
    ///
    /// # Errors
    /// Each [`ConnectionError`].
    pub(super) fn connection(self) -> Result<Connection, ConnectionError> {
        let known = Known(Settings::load(&self.sources.clone().sources(Mode::Serve)));
        let address = address::of(self.url, &known)?;
        let is_plain = address.url.scheme() == "http" && !address.is_local();
        if is_plain && !self.insecure {
            return Err(ConnectionError::Plain(address.url));
        }
        let trust = trust::of(&address, self.ca_cert, self.insecure, &known)?;
        let credentials = credentials::of(self.username, self.management_password_stdin, &known)?;
        Ok(Connection {
            address,
            credentials,
            trust,
        })
    }
}

impl Known {
    /// The settings, because something is needed from them.
    fn needed(&self) -> Result<&Settings, ConnectionError> {
        match &self.0 {
            Ok(loaded) => Ok(&loaded.settings),
            Err(error) => Err(ConnectionError::Settings(SettingsError {
                faults: error.faults.clone(),
            })),
        }
    }

    /// The settings, if they can be read.
    fn if_readable(&self) -> Option<&Settings> {
        self.0.as_ref().ok().map(|loaded| &loaded.settings)
    }

    /// Whether someone set this, so that it is not the default.
    fn is_set(&self, name: &str) -> bool {
        let loaded = self.0.as_ref().ok();
        let mut effective = loaded.into_iter().flat_map(|loaded| &loaded.effective);
        effective.any(|setting| setting.name == name && setting.origin != Origin::Default)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::settings::sources::{ConfigSource, Sources};

    /// Settings that hold this environment and nothing else.
    pub(super) fn known(pairs: &[(&str, &str)]) -> Known {
        let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        Known(Settings::load(&Sources {
            mode: Mode::Serve,
            flags: Vec::new(),
            environment: pairs.iter().map(pair).collect(),
            config: ConfigSource::Optional(PathBuf::from("/nonexistent/sentinel.toml")),
        }))
    }

    #[test]
    fn a_faulty_setting_is_told_only_where_settings_are_needed() {
        let known = known(&[("SENTINEL_BCRYPT_COST", "99")]);
        assert!(known.if_readable().is_none());
        let error = known.needed().unwrap_err();
        assert!(
            error.to_string().contains("SENTINEL_BCRYPT_COST"),
            "{error}"
        );
    }

    #[test]
    fn a_default_is_not_set() {
        let known = known(&[("SENTINEL_TLS", "on")]);
        assert!(known.is_set("SENTINEL_TLS"));
        assert!(!known.is_set("SENTINEL_TLS_CERT"));
    }
}

//! How a command ends: its exit code, and one clear line when it failed.

use std::io;
use std::process::ExitCode;

use thiserror::Error;

use super::api::error::ApiError;
use super::connection::ConnectionError;
use super::input::InputError;
use super::output::{self, printable};
use crate::sentinel::error::{RunError, StartError};
use crate::settings::fault::SettingsError;
use crate::telemetry;
use crate::telemetry::chain::Chain;

/// Another program refused what was asked.
const REFUSED: u8 = 1;
/// `EX_USAGE` of `sysexits.h` is 64, but every shell tool and clap say 2.
const USAGE: u8 = 2;
/// `EX_UNAVAILABLE`.
const UNAVAILABLE: u8 = 69;
/// `EX_SOFTWARE`.
const INTERNAL: u8 = 70;
/// `EX_CONFIG`.
const CONFIGURATION: u8 = 78;

/// Why a command did not do what it was asked for.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The log cannot be written as the settings say.
    #[error(transparent)]
    Log(#[from] telemetry::StartError),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server ended of its own accord.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A second signal came before the drain was over.
    #[error("stopped by a second signal; requests in flight were cut")]
    CutShort,
    /// `check` found settings or files that have to be mended; it has told them.
    #[error("not ready: mend what failed above")]
    Unfit,
    /// `check` did not reach a store; it has told which.
    #[error("not ready: a store cannot be reached")]
    StoreAway,
    /// The management API cannot be asked.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The management API did not do what was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A password or token could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Standard output is closed or full.
    #[error("standard output cannot be written to: {0}")]
    Output(io::Error),
    /// The system gave no threads or no signals.
    #[error("the system refuses threads or signals: {0}")]
    Runtime(io::Error),
}

impl Failure {
    /// What people are told: one line, but for settings, which have one for each fault.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Settings(error) | Self::Connection(ConnectionError::Settings(error)) => {
                error.faults.iter().map(ToString::to_string).collect()
            }
            other => vec![Chain(other).to_string()],
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Log(_) | Self::Unfit => CONFIGURATION,
            Self::Start(error) => error.exit_code(),
            Self::Run(error) => error.exit_code(),
            Self::StoreAway => UNAVAILABLE,
            Self::Connection(error) => match error {
                ConnectionError::Settings(_)
                | ConnectionError::NoCredentials
                | ConnectionError::NoPassword { .. }
                | ConnectionError::Hashed
                | ConnectionError::Unreadable { .. } => CONFIGURATION,
                ConnectionError::ManagementOff
                | ConnectionError::NoPort
                | ConnectionError::Plain(_)
                | ConnectionError::Certificate { .. }
                | ConnectionError::Input(_) => USAGE,
            },
            Self::Api(error) => match error {
                ApiError::Credentials | ApiError::Refused { .. } | ApiError::NotTheApi { .. } => {
                    REFUSED
                }
                ApiError::Unavailable { .. }
                | ApiError::Unreachable { .. }
                | ApiError::Untrusted { .. } => UNAVAILABLE,
                ApiError::Client(_) => CONFIGURATION,
            },
            Self::Input(_) => USAGE,
            Self::CutShort | Self::Output(_) => REFUSED,
            Self::Runtime(_) => INTERNAL,
        }
    }
}

/// Tells how a command ended.
pub(super) fn report(ended: Result<(), Failure>) -> ExitCode {
    let Err(failure) = ended else {
        return ExitCode::SUCCESS;
    };
    for line in failure.lines() {
        output::complain(&format!("sentinel: {}", printable(&line)));
    }
    ExitCode::from(failure.exit_code())
}

/// Tells what is wrong with the command line, or prints the help or version it asks for.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // A closed terminal is no reason for another exit code.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

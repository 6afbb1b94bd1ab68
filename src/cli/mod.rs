//! The `sentinel` command: one file per subcommand.
//!
//! What does not live here: the server itself (`sentinel`), what settings mean (`settings`).

mod api;
mod check;
mod client;
mod connection;
mod dev;
mod exit;
mod flags;
mod input;
mod output;
mod serve;
mod settings;
mod signals;
mod table;
mod token;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::sentinel::runtime::runtime;
use crate::settings::keys;
use exit::Failure;
use flags::{ServerFlags, SourceFlags};

/// An OAuth2 token server for the password grant, on MongoDB and Redis.
#[derive(Parser)]
#[command(name = "sentinel", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole server on this machine alone, ready to try: for development only.
    ///
    /// It needs nothing else installed, and makes the user `jonas` with the password `pass`, a
    /// public client and a demo resource. It takes every setting of `sentinel serve`, whose
    /// `--help` lists them.
    Dev(ServerFlags),
    /// Run the server.
    #[command(after_long_help = settings_help())]
    Serve(ServerFlags),
    /// Tell whether the server could run: settings, certificate, templates, Redis, MongoDB.
    Check(SourceFlags),
    /// Print the settings in effect, and where each comes from.
    Settings(settings::SettingsArguments),
    /// Add, list, change and delete users.
    User(user::UserArguments),
    /// Add, list, change and delete clients.
    Client(client::ClientArguments),
    /// End tokens: one, or all of a user, of a client, of everyone.
    Token(token::TokenArguments),
}

/// Does what the command line asks for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => exit::report(block_on(cli.command)),
        Err(usage) => exit::usage(&usage),
    }
}

fn block_on(command: Command) -> Result<(), Failure> {
    let runtime = runtime().map_err(Failure::Runtime)?;
    let ended = runtime.block_on(Box::pin(command.run()));
    // A password that is being hashed for nobody must not hold up the end.
    runtime.shutdown_background();
    ended
}

impl Command {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Dev(flags) => Box::pin(dev::dev(flags)).await,
            Self::Serve(flags) => serve::serve(flags).await,
            Self::Check(flags) => check::check(flags).await,
            Self::Settings(arguments) => settings::settings(arguments),
            Self::User(arguments) => user::user(arguments).await,
            Self::Client(arguments) => client::client(arguments).await,
            Self::Token(arguments) => token::token(arguments).await,
        }
    }
}

fn settings_help() -> String {
    format!(
        "Settings, from flags, the environment or the keys of sentinel.toml, in this order:\n\n{}",
        keys::help().trim_end()
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_commands_of_the_documents_are_understood() {
        for line in [
            "dev --listen 127.0.0.1:0 --config c.toml --data-dir d --log-format json",
            "serve --listen unix:/run/s.sock --log-format text",
            "check --config c.toml --data-dir d",
            "settings --dev --json --config c.toml --data-dir d",
            "user add anna --password-stdin --json",
            "user list --url https://localhost:5000/oauth/management --username admin",
            "user --insecure list --management-password-stdin",
            "client add --type confidential --name n --scope a b --scope c --default-scope a",
            "client add --grant-type password refresh_token",
            "client list --ca-cert ca.pem --config c.toml --data-dir d",
            "token revoke abc",
            "token revoke --stdin --json",
        ] {
            let words = std::iter::once("sentinel").chain(line.split(' '));
            let parsed = Cli::try_parse_from(words);
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
        }
    }

    #[test]
    fn a_wrong_command_line_is_a_usage_error() {
        for line in [
            "",
            "start",
            "serve --port 1",
            "serve --log-format xml",
            "user",
            "user add",
            "client add --type secret",
            "token revoke",
            "token revoke abc --stdin",
            "user list --url ftp://host/oauth/management",
            "user list --url https://anna:secret@host/oauth/management",
            "user list --insecure --ca-cert ca.pem",
        ] {
            let words = std::iter::once("sentinel").chain(line.split_whitespace());
            let refused = Cli::try_parse_from(words).err().expect(line);
            assert_eq!(refused.exit_code(), 2, "{line}: {refused}");
        }
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for (line, kind) in [
            ("--help", ErrorKind::DisplayHelp),
            ("--version", ErrorKind::DisplayVersion),
            ("client add --help", ErrorKind::DisplayHelp),
        ] {
            let words = std::iter::once("sentinel").chain(line.split(' '));
            let shown = Cli::try_parse_from(words).err().expect(line);
            assert_eq!((shown.kind(), shown.exit_code()), (kind, 0), "{line}");
        }
    }

    #[test]
    fn the_help_of_serve_ends_with_every_setting() {
        let shown = Cli::try_parse_from(["sentinel", "serve", "--help"]);
        let text = shown.err().unwrap().to_string();
        for key in keys::KEYS {
            assert!(text.contains(key.name), "{}", key.name);
        }
        let last = keys::KEYS.last().unwrap().meaning;
        assert!(text.trim_end().ends_with(last), "{text}");
    }
}

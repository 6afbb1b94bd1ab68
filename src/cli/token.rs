//! `sentinel token`: tokens, over the management API.

use clap::{Args, Subcommand};

use super::api::ManagementApi;
use super::connection::ConnectionFlags;
use super::exit::Failure;
use super::{input, output};
use crate::http::wire::revoke::RevokeRequest;

/// What to do with tokens, and on which server.
#[derive(Args)]
pub(super) struct TokenArguments {
    #[command(subcommand)]
    action: TokenAction,
    #[command(flatten)]
    connection: ConnectionFlags,
}

#[derive(Subcommand)]
enum TokenAction {
    /// Revoke an access or refresh token, and the one that belongs to it.
    Revoke {
        /// Access or refresh token; other users of this machine may see it here
        #[arg(required_unless_present = "stdin")]
        token: Option<String>,
        /// Read the token from the next line of standard input instead
        #[arg(long, conflicts_with = "token")]
        stdin: bool,
    },
}

/// Does it.
///
/// # Errors
/// What is wrong with connection, input or answer.
pub(super) async fn token(arguments: TokenArguments) -> Result<(), Failure> {
    let TokenArguments { action, connection } = arguments;
    let is_json = connection.json;
    let api = ManagementApi::new(connection.connection()?)?;
    let TokenAction::Revoke { token, .. } = action;
    let token = match token {
        Some(token) => token,
        None => input::next_line("token")?.expose().to_owned(),
    };
    api.order("tokens/revoke", &RevokeRequest { token }).await?;
    if is_json {
        return output::print_json(&serde_json::json!({}));
    }
    // The server does not tell whether there was one.
    output::print("If the token was live, it is not any more.")
}

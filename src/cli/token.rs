//! `sentinel token`: tokens, over the management API.

use clap::{Args, Subcommand};

use super::api::ManagementApi;
use super::connection::ConnectionFlags;
use super::exit::Failure;
use super::{input, output, user};
use crate::http::wire::revoke::{RevokeAllRequest, RevokeRequest};

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
    /// End all tokens of a user, of a client, or of everyone; who logs in again is let in.
    RevokeAll(WhoseTokens),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct WhoseTokens {
    /// Those of the user of this login name
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Those of the client of this identifier
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// All there are
    #[arg(long)]
    everyone: bool,
}

/// Does it.
///
/// # Errors
/// What is wrong with connection, input or answer.
pub(super) async fn token(arguments: TokenArguments) -> Result<(), Failure> {
    let TokenArguments { action, connection } = arguments;
    let is_json = connection.json;
    let api = ManagementApi::new(connection.connection()?)?;
    let done = match action {
        TokenAction::Revoke { token, .. } => {
            let token = match token {
                Some(token) => token,
                None => input::next_line("token")?.expose().to_owned(),
            };
            api.order("tokens/revoke", &RevokeRequest { token }).await?;
            // The server does not tell whether there was one.
            "If the token was live, it is not any more."
        }
        TokenAction::RevokeAll(whose) => {
            let user_id = match whose.user {
                Some(name) => Some(user::find(&api, &name).await?.id),
                None => None,
            };
            let request = RevokeAllRequest {
                user_id,
                client_id: whose.client,
                everyone: whose.everyone.then_some(true),
            };
            api.order("tokens/revoke-all", &request).await?;
            "All these tokens have ended."
        }
    };
    output::print_done(done, is_json)
}

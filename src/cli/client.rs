//! `sentinel client`: clients, over the management API.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::api::ManagementApi;
use super::connection::ConnectionFlags;
use super::exit::Failure;
use super::output::{self, printable};
use super::table::table;
use crate::http::wire::client::{ClientPatchRequest, ClientRecord, NewClientRequest, SecretRecord};

/// What the API calls them.
const KIND: &str = "clients";

/// What to do with clients, and on which server.
#[derive(Args)]
pub(super) struct ClientArguments {
    #[command(subcommand)]
    action: ClientAction,
    #[command(flatten)]
    connection: ConnectionFlags,
}

#[derive(Subcommand)]
enum ClientAction {
    /// Add a client; the secret of a confidential one is shown this once.
    Add(NewClientFlags),
    /// List all clients.
    List,
    /// Refuse a client everywhere; all tokens of the client end.
    Disable {
        /// Client identifier
        id: String,
    },
    /// Let a disabled client ask for tokens again.
    Enable {
        /// Client identifier
        id: String,
    },
    /// Give a client a new secret, which is shown this once; the one in use stays good.
    RotateSecret {
        /// Client identifier
        id: String,
    },
    /// Delete a secret of a client, such as the one before the last rotation.
    DeleteSecret {
        /// Client identifier
        id: String,
        /// Identifier of the secret, as `client list --json` has it
        secret_id: String,
    },
    /// Delete a client; all tokens of the client end.
    Delete {
        /// Client identifier
        id: String,
    },
}

#[derive(Args)]
struct NewClientFlags {
    /// Whether it can keep a secret (RFC 6749, section 2.1)
    #[arg(long = "type", value_name = "TYPE", default_value = "public")]
    #[arg(value_parser = PossibleValuesParser::new(["public", "confidential"]))]
    client_type: String,
    /// What people call it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Scopes it may ask for
    #[arg(long, value_name = "SCOPE", num_args = 1..)]
    scope: Vec<String>,
    /// Scopes it gets when it asks for none
    #[arg(long, value_name = "SCOPE", num_args = 1..)]
    default_scope: Vec<String>,
    /// Grant types it may use [default: those of users]
    #[arg(long, value_name = "GRANT_TYPE", num_args = 1..)]
    grant_type: Vec<String>,
    /// Lifetime of its access tokens [default: the server's]
    #[arg(long, value_name = "SECONDS")]
    access_token_lifetime: Option<u64>,
    /// Lifetime of its refresh tokens, from the login on [default: the server's]
    #[arg(long, value_name = "SECONDS")]
    refresh_token_lifetime: Option<u64>,
    /// How many pairs of tokens one user may have with it [default: single]
    #[arg(long, value_name = "HOW_MANY")]
    #[arg(value_parser = PossibleValuesParser::new(["single", "many"]))]
    sessions: Option<String>,
    /// Whose tokens it may introspect [default: own]
    #[arg(long, value_name = "WHOSE")]
    #[arg(value_parser = PossibleValuesParser::new(["own", "any"]))]
    introspection: Option<String>,
}

/// Does it.
///
/// # Errors
/// What is wrong with connection or answer.
pub(super) async fn client(arguments: ClientArguments) -> Result<(), Failure> {
    let ClientArguments { action, connection } = arguments;
    let is_json = connection.json;
    let api = ManagementApi::new(connection.connection()?)?;
    match action {
        ClientAction::Add(flags) => {
            let client: ClientRecord = api.add(KIND, &NewClientRequest::from(flags)).await?;
            if is_json {
                return output::print_json(&client);
            }
            output::print(&made(&client))
        }
        ClientAction::List => {
            let clients: Vec<ClientRecord> = api.list(KIND).await?;
            if is_json {
                return output::print_json(&clients);
            }
            output::print(&as_table(&clients))
        }
        ClientAction::Disable { id } => set_disabled(&api, &id, true, is_json).await,
        ClientAction::Enable { id } => set_disabled(&api, &id, false, is_json).await,
        ClientAction::RotateSecret { id } => {
            let nothing = serde_json::json!({});
            let secret: SecretRecord = api.add_at(&[KIND, &id, "secrets"], &nothing).await?;
            if is_json {
                return output::print_json(&secret);
            }
            output::print(&rotated(&secret))
        }
        ClientAction::DeleteSecret { id, secret_id } => {
            api.delete(&[KIND, &id, "secrets", &secret_id]).await?;
            output::print_done("The secret is deleted.", is_json)
        }
        ClientAction::Delete { id } => {
            api.delete(&[KIND, &id]).await?;
            let done = "The client is deleted, and all its tokens have ended.";
            output::print_done(done, is_json)
        }
    }
}

async fn set_disabled(
    api: &ManagementApi,
    id: &str,
    is_disabled: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let patch = ClientPatchRequest {
        disabled: Some(is_disabled),
    };
    let client: ClientRecord = api.change(&[KIND, id], &patch).await?;
    if is_json {
        return output::print_json(&client);
    }
    output::print(&as_table(&[client]))
}

impl From<NewClientFlags> for NewClientRequest {
    fn from(flags: NewClientFlags) -> Self {
        Self {
            client_type: flags.client_type,
            name: flags.name,
            allowed_grant_types: (!flags.grant_type.is_empty()).then_some(flags.grant_type),
            scopes: scope_tokens(&flags.scope),
            default_scopes: scope_tokens(&flags.default_scope),
            access_token_lifetime: flags.access_token_lifetime,
            refresh_token_lifetime: flags.refresh_token_lifetime,
            sessions: flags.sessions,
            introspection: flags.introspection,
        }
    }
}

/// A scope may be given as in RFC 6749 §3.3, blanks between its tokens.
fn scope_tokens(given: &[String]) -> Vec<String> {
    let tokens = given.iter().flat_map(|text| text.split_whitespace());
    tokens.map(str::to_owned).collect()
}

fn rotated(secret: &SecretRecord) -> String {
    let text = secret.client_secret.as_deref().unwrap_or_default();
    format!(
        "client_secret: {}\nKeep it now: it is not shown again. Its id is {}. Of the earlier \
         ones the one that was used last stays good until `client delete-secret`.",
        printable(text),
        printable(&secret.id)
    )
}

fn made(client: &ClientRecord) -> String {
    let mut text = as_table(std::slice::from_ref(client));
    if let Some(secret) = &client.client_secret {
        text.push_str("\n\nclient_secret: ");
        text.push_str(&printable(secret));
        text.push_str("\nKeep it now: it is not shown again.");
    }
    text
}

fn as_table(clients: &[ClientRecord]) -> String {
    let row = |client: &ClientRecord| {
        let state = if client.disabled {
            "disabled"
        } else {
            "enabled"
        };
        [
            client.client_id.clone(),
            client.client_type.clone(),
            client.name.clone(),
            client.allowed_grant_types.join(" "),
            client.scopes.join(" "),
            client.default_scopes.join(" "),
            state.to_owned(),
            client.created_at.clone(),
        ]
    };
    let rows: Vec<_> = clients.iter().map(row).collect();
    let head = [
        "client_id",
        "type",
        "name",
        "grant types",
        "scopes",
        "default scopes",
        "state",
        "created",
    ];
    table(head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> NewClientFlags {
        NewClientFlags {
            client_type: "public".to_owned(),
            name: None,
            scope: Vec::new(),
            default_scope: Vec::new(),
            grant_type: Vec::new(),
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            sessions: None,
            introspection: None,
        }
    }

    #[test]
    fn what_is_not_given_is_left_to_the_server() {
        let body = serde_json::to_value(NewClientRequest::from(flags())).unwrap();
        assert_eq!(body, serde_json::json!({"client_type": "public"}));
    }

    #[test]
    fn scopes_may_be_one_word_of_the_shell_or_many() {
        let scope = vec!["read write".to_owned(), "admin".to_owned()];
        let request = NewClientRequest::from(NewClientFlags { scope, ..flags() });
        assert_eq!(request.scopes, ["read", "write", "admin"]);
    }

    #[test]
    fn a_secret_is_shown_with_a_word_of_warning_and_in_no_list() {
        let client = ClientRecord {
            client_id: "id".to_owned(),
            client_type: "confidential".to_owned(),
            name: String::new(),
            allowed_grant_types: vec!["password".to_owned()],
            scopes: Vec::new(),
            default_scopes: Vec::new(),
            access_token_lifetime: None,
            refresh_token_lifetime: None,
            sessions: "single".to_owned(),
            introspection: "own".to_owned(),
            disabled: false,
            created_at: "2026-01-02T03:04:05Z".to_owned(),
            secrets: Vec::new(),
            client_secret: Some("hunter2".to_owned()),
        };
        let text = made(&client);
        assert!(
            text.contains("client_secret: hunter2\nKeep it now"),
            "{text}"
        );
        assert!(!as_table(&[client]).contains("hunter2"));
    }
}

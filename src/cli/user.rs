//! `sentinel user`: users, over the management API.

use clap::{Args, Subcommand};

use super::api::ManagementApi;
use super::connection::ConnectionFlags;
use super::exit::Failure;
use super::table::table;
use super::{input, output};
use crate::http::wire::user::{NewUserRequest, UserRecord};

/// What the API calls them.
const KIND: &str = "users";

/// What to do with users, and on which server.
#[derive(Args)]
pub(super) struct UserArguments {
    #[command(subcommand)]
    action: UserAction,
    #[command(flatten)]
    connection: ConnectionFlags,
}

#[derive(Subcommand)]
enum UserAction {
    /// Add a user; the password is asked for, twice and without echo.
    Add {
        /// Login name
        name: String,
        /// Read the password from the next line of standard input instead
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all users.
    List,
}

/// Does it.
///
/// # Errors
/// What is wrong with connection, input or answer.
pub(super) async fn user(arguments: UserArguments) -> Result<(), Failure> {
    let UserArguments { action, connection } = arguments;
    let is_json = connection.json;
    let api = ManagementApi::new(connection.connection()?)?;
    match action {
        UserAction::Add {
            name,
            password_stdin,
        } => {
            let password = if password_stdin {
                input::next_line("password of the user")?
            } else {
                input::ask_twice(&name)?
            };
            let request = NewUserRequest {
                username: name,
                password: password.expose().to_owned(),
            };
            let user: UserRecord = api.add(KIND, &request).await?;
            if is_json {
                return output::print_json(&user);
            }
            output::print(&as_table(&[user]))
        }
        UserAction::List => {
            let users: Vec<UserRecord> = api.list(KIND).await?;
            if is_json {
                return output::print_json(&users);
            }
            output::print(&as_table(&users))
        }
    }
}

fn as_table(users: &[UserRecord]) -> String {
    let row = |user: &UserRecord| {
        let state = if user.disabled { "disabled" } else { "enabled" };
        [
            user.username.clone(),
            state.to_owned(),
            user.created_at.clone(),
            user.id.clone(),
        ]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    table(["username", "state", "created", "id"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_user_is_told_apart() {
        let user = |name: &str, disabled| UserRecord {
            id: "65a0c0ffee65a0c0ffee65a0".to_owned(),
            username: name.to_owned(),
            disabled,
            created_at: "2026-01-02T03:04:05Z".to_owned(),
        };
        let text = as_table(&[user("anna", false), user("eve", true)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("anna      enabled "), "{text}");
        assert!(lines[2].starts_with("eve       disabled"), "{text}");
    }
}

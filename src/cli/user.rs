//! `sentinel user`: users, over the management API.

use clap::{Args, Subcommand};

use super::api::ManagementApi;
use super::api::error::ApiError;
use super::connection::ConnectionFlags;
use super::exit::Failure;
use super::table::table;
use super::{input, output};
use crate::http::wire::user::{NewUserRequest, UserPatchRequest, UserRecord};
use crate::settings::secret::Secret;

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
    /// Give a user a new password, which is asked for; all tokens of the user end.
    SetPassword {
        /// Login name
        name: String,
        /// Read the password from the next line of standard input instead
        #[arg(long)]
        password_stdin: bool,
    },
    /// Refuse a user everywhere; all tokens of the user end.
    Disable {
        /// Login name
        name: String,
    },
    /// Let a disabled user log in again.
    Enable {
        /// Login name
        name: String,
    },
    /// Delete a user; all tokens of the user end.
    Delete {
        /// Login name
        name: String,
    },
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
            let password = read_password(&name, password_stdin)?;
            let request = NewUserRequest {
                username: name,
                password: password.expose().to_owned(),
            };
            show(&api.add(KIND, &request).await?, is_json)
        }
        UserAction::List => {
            let users: Vec<UserRecord> = api.list(KIND).await?;
            if is_json {
                return output::print_json(&users);
            }
            output::print(&as_table(&users))
        }
        UserAction::SetPassword {
            name,
            password_stdin,
        } => {
            let user = find(&api, &name).await?;
            let password = read_password(&name, password_stdin)?;
            let patch = UserPatchRequest {
                password: Some(password.expose().to_owned()),
                ..UserPatchRequest::default()
            };
            show(&api.change(&[KIND, &user.id], &patch).await?, is_json)
        }
        UserAction::Disable { name } => set_disabled(&api, &name, true, is_json).await,
        UserAction::Enable { name } => set_disabled(&api, &name, false, is_json).await,
        UserAction::Delete { name } => {
            let user = find(&api, &name).await?;
            api.delete(&[KIND, &user.id]).await?;
            let done = "The user is deleted, and all its tokens have ended.";
            output::print_done(done, is_json)
        }
    }
}

/// The user of a name.
///
/// # Errors
/// That there is none, or each error of the API.
pub(super) async fn find(api: &ManagementApi, name: &str) -> Result<UserRecord, Failure> {
    let found: Vec<UserRecord> = api.find(KIND, ("username", name)).await?;
    // A server of before this was known answers with all users.
    let mut named = found.into_iter().filter(|user| user.username == name);
    let unknown = || ApiError::Refused {
        detail: "there is no user of this name; see the list of them".to_owned(),
    };
    Ok(named.next().ok_or_else(unknown)?)
}

async fn set_disabled(
    api: &ManagementApi,
    name: &str,
    is_disabled: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let user = find(api, name).await?;
    let patch = UserPatchRequest {
        disabled: Some(is_disabled),
        ..UserPatchRequest::default()
    };
    show(&api.change(&[KIND, &user.id], &patch).await?, is_json)
}

fn read_password(name: &str, is_from_stdin: bool) -> Result<Secret, Failure> {
    if is_from_stdin {
        Ok(input::next_line("password of the user")?)
    } else {
        Ok(input::ask_twice(name)?)
    }
}

fn show(user: &UserRecord, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return output::print_json(user);
    }
    output::print(&as_table(std::slice::from_ref(user)))
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

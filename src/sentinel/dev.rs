//! What `sentinel dev` adds: a user, a client, and console credentials, kept in its data folder.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Sentinel;
use super::error::StartError;
use crate::actors::management::error::ManagementError;
use crate::crypto::random;
use crate::domain::client::{Client, ClientRegistration, ClientType, GrantType};
use crate::domain::user::{Password, User};
use crate::settings::secret::Secret;
use crate::settings::{ManagementSettings, Settings};

/// The user that `dev` makes.
pub const USERNAME: &str = "jonas";
/// Its password.
pub const PASSWORD: &str = "pass";
/// The file of the data folder that keeps the console credentials.
pub const CONSOLE_FILE: &str = "console.json";
/// The file of the data folder that says which user was seen with the password that `dev` gives.
const USER_FILE: &str = "dev-user";
/// The name of the client that `dev` makes; it is found again by it.
const CLIENT_NAME: &str = "dev";
/// Length of a made console password: 119 bits.
const CONSOLE_PASSWORD_LENGTH: usize = 20;

/// What `dev` prints.
#[derive(Clone, Debug)]
pub struct DevFacts {
    /// How the user is.
    pub user: DevUser,
    /// The public client.
    pub client_id: String,
    /// The console's user name.
    pub console_username: String,
    /// The console's password, or the hash that the operator set.
    pub console_password: Secret,
}

/// The user of `dev`. One that was there already is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevUser {
    /// Whether its password is the one that anyone knows.
    pub has_known_password: bool,
    /// Whether it is refused everywhere.
    pub is_disabled: bool,
}

/// Console credentials as kept in the data folder.
#[derive(Serialize, Deserialize)]
pub struct KeptCredentials {
    /// The console's user name.
    pub username: String,
    /// The console's password.
    pub password: String,
}

impl Sentinel {
    /// As [`Sentinel::start`], with a user, a public client and console credentials, each made
    /// when it is not there yet.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_dev(mut settings: Settings) -> Result<(Self, DevFacts), StartError> {
        let console = match settings.management.take() {
            Some(console) => console,
            None => kept_credentials(&settings.data_dir)?,
        };
        settings.management = Some(console.clone());
        let made = settings.data_dir.join(USER_FILE);
        let sentinel = Self::start(settings).await?;
        let facts = DevFacts {
            user: sentinel.ensure_user(&made).await?,
            client_id: sentinel.ensure_client().await?,
            console_username: console.username,
            console_password: console.password,
        };
        Ok((sentinel, facts))
    }

    async fn ensure_user(&self, made: &Path) -> Result<DevUser, ManagementError> {
        let management = &self.0.handles.management;
        let name = USERNAME.to_owned();
        let password = Password::new(PASSWORD.to_owned());
        let (user, has_known_password) = match management.find_user(name.clone()).await? {
            None => {
                let added = management.add_user_with_any_password(name, password);
                (added.await?, true)
            }
            // A new password ends all sessions and counts that, so one that is known to have had ours
            // has it yet: a start need not wait for a hash.
            Some(user) if user.sessions_ended == 0 && is_known(made, &user) => (user, true),
            Some(user) => {
                let has_ours = management.is_password_of(&user, password).await?;
                (user, has_ours)
            }
        };
        if has_known_password && user.sessions_ended == 0 && !is_known(made, &user) {
            // If it cannot be kept, the next start hashes once more.
            let _next_time = fs::write(made, user.id.to_string());
        }
        Ok(DevUser {
            has_known_password,
            is_disabled: user.is_disabled,
        })
    }

    async fn ensure_client(&self) -> Result<String, ManagementError> {
        let management = &self.0.handles.management;
        let mut after = None;
        loop {
            let page = management.list_clients(after, 200).await?;
            if let Some(own) = page.items.iter().find(|client| is_usable(client)) {
                return Ok(own.id.to_string());
            }
            after = page.items.last().map(|client| client.id.clone());
            if !page.has_more {
                break;
            }
        }
        let mut registration = ClientRegistration::new(ClientType::Public);
        CLIENT_NAME.clone_into(&mut registration.name);
        let (client, _no_secret) = management.add_client(registration).await?;
        Ok(client.id.to_string())
    }
}

/// Whether it is noted that this user was seen with the password that `dev` gives.
fn is_known(made: &Path, user: &User) -> bool {
    fs::read_to_string(made).is_ok_and(|id| id == user.id.to_string())
}

/// Whether a client is as `dev` makes it, so that the printed line gives a token.
fn is_usable(client: &Client) -> bool {
    client.name == CLIENT_NAME
        && client.client_type == ClientType::Public
        && !client.is_disabled
        && client.check_grant_type(GrantType::Password).is_ok()
}

fn kept_credentials(data_dir: &Path) -> Result<ManagementSettings, StartError> {
    let path = data_dir.join(CONSOLE_FILE);
    let unusable = |reason: String| StartError::DevFile {
        path: path.display().to_string(),
        reason,
    };
    let text = kept_text(data_dir, &path).map_err(|error| unusable(error.to_string()))?;
    // The parser's words may quote the file, and with it the password.
    let kept: KeptCredentials = serde_json::from_slice(&text).map_err(|_| {
        unusable("it does not hold username and password; remove it, and new ones are made".into())
    })?;
    Ok(ManagementSettings {
        username: kept.username,
        password: Secret::new(kept.password),
    })
}

fn kept_text(data_dir: &Path, path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_credentials(data_dir, path)?;
            fs::read(path)
        }
        read => read,
    }
}

/// Puts new credentials at `path`, whole or not at all, unless others were put there meanwhile.
fn make_credentials(data_dir: &Path, path: &Path) -> io::Result<()> {
    let made = KeptCredentials {
        username: "admin".to_owned(),
        password: random::password(CONSOLE_PASSWORD_LENGTH)
            .as_str()
            .to_owned(),
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)?;
    // One of this process alone; what an earlier one of the same number left is of no use.
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(&made)?)?;
    file.sync_all()?;
    // A rename would take away what another process has just put there.
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&draft)?;
    linked
}

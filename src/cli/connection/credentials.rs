//! As whom the management API is asked.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::{ConnectionError, Known};
use crate::cli::input;
use crate::settings::ManagementSettings;
use crate::settings::secret::Secret;

/// Where `sentinel dev` keeps what it made up, below the data folder.
const KEPT: &str = "console.json";

/// User name and password of the console.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Credentials {
    /// Name in Basic Auth.
    pub(in crate::cli) username: String,
    /// The password itself, not its hash.
    pub(in crate::cli) password: Secret,
}

/// The file of `sentinel dev`. Not `Debug`: it holds a password.
#[derive(Deserialize)]
struct KeptCredentials {
    username: String,
    password: String,
}

/// The credentials of the command line; what it leaves open comes from the settings, and where
/// they say nothing from what `sentinel dev` keeps.
pub(super) fn of(
    username: Option<String>,
    is_password_on_stdin: bool,
    known: &Known,
) -> Result<Credentials, ConnectionError> {
    if is_password_on_stdin {
        let username = match username {
            Some(username) => username,
            None => {
                configured(known)?
                    .ok_or(ConnectionError::NoCredentials)?
                    .username
            }
        };
        let password = input::next_line("console password")?;
        return Ok(Credentials { username, password });
    }
    match (configured(known)?, username) {
        (None, None) => Err(ConnectionError::NoCredentials),
        (Some(own), Some(username)) if own.username != username => {
            Err(ConnectionError::NoPassword { username })
        }
        (None, Some(username)) => Err(ConnectionError::NoPassword { username }),
        (Some(own), _) if is_hash(&own.password) => Err(ConnectionError::Hashed),
        (Some(own), _) => Ok(Credentials {
            username: own.username,
            password: own.password,
        }),
    }
}

fn configured(known: &Known) -> Result<Option<ManagementSettings>, ConnectionError> {
    let settings = known.needed()?;
    match &settings.management {
        Some(management) => Ok(Some(management.clone())),
        None => kept(&settings.data_dir.join(KEPT)),
    }
}

fn kept(path: &Path) -> Result<Option<ManagementSettings>, ConnectionError> {
    let read = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error),
        // The parser's words may quote the file, and with it the password.
        Ok(bytes) => serde_json::from_slice::<KeptCredentials>(&bytes)
            .map_err(|_| io::Error::other("it does not hold username and password")),
    };
    read.map(|kept| {
        Some(ManagementSettings {
            username: kept.username,
            password: Secret::new(kept.password),
        })
    })
    .map_err(|reason| ConnectionError::Unreadable {
        path: path.to_owned(),
        reason,
    })
}

/// Whether this is a whole bcrypt hash; the settings refuse half ones.
fn is_hash(password: &Secret) -> bool {
    password.expose().parse::<bcrypt::HashParts>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::known;
    use super::*;

    const SET: [(&str, &str); 2] = [
        ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "from settings"),
    ];

    fn folder_with(kept: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KEPT), kept).unwrap();
        folder
    }

    #[test]
    fn settings_win_over_what_dev_keeps() {
        let folder = folder_with(r#"{"username":"dev","password":"kept"}"#);
        let data_dir = ("SENTINEL_DATA_DIR", folder.path().to_str().unwrap());
        let both = of(None, false, &known(&[SET[0], SET[1], data_dir])).unwrap();
        assert_eq!(both.username, "admin");
        assert_eq!(both.password.expose(), "from settings");
        let kept = of(None, false, &known(&[data_dir])).unwrap();
        assert_eq!(
            (kept.username.as_str(), kept.password.expose()),
            ("dev", "kept")
        );
    }

    #[test]
    fn a_hash_cannot_sign_in() {
        let hash = bcrypt::hash("pass", 4).unwrap();
        let pairs = [SET[0], ("SENTINEL_MANAGEMENT_PASSWORD", hash.as_str())];
        let refused = of(None, false, &known(&pairs)).unwrap_err();
        assert!(matches!(refused, ConnectionError::Hashed), "{refused}");
        let text = refused.to_string();
        assert!(text.contains("--management-password-stdin") && !text.contains(&hash));
    }

    #[test]
    fn missing_credentials_are_told_with_the_way_out() {
        let empty = tempfile::tempdir().unwrap();
        let data_dir = ("SENTINEL_DATA_DIR", empty.path().to_str().unwrap());
        let nobody = of(None, false, &known(&[data_dir])).unwrap_err();
        assert!(matches!(nobody, ConnectionError::NoCredentials));
        // The password of one user must not be tried for another.
        let other = of(Some("eve".to_owned()), false, &known(&SET)).unwrap_err();
        assert!(
            matches!(other, ConnectionError::NoPassword { .. }),
            "{other}"
        );
        assert!(of(Some("admin".to_owned()), false, &known(&SET)).is_ok());
    }

    #[test]
    fn a_damaged_file_is_told_without_quoting_it() {
        let folder = folder_with(r#"{"username":"dev","password":5, "hunter2"#);
        let data_dir = ("SENTINEL_DATA_DIR", folder.path().to_str().unwrap());
        let refused = of(None, false, &known(&[data_dir]))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(KEPT) && !refused.contains("hunter2"),
            "{refused}"
        );
    }
}

//! The sections of listener, TLS, console and log.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use bcrypt::HashParts;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::fault::Wrong;
use super::keys;
use super::reader::{Reader, as_boolean, path, plain_text, socket_address};
use super::secret::Secret;
use super::{
    ListenAddress, LogFormat, LogSettings, ManagementSettings, ServerSettings, TlsSettings,
};

/// Reads listener, TLS and proxies.
pub(super) fn server(reader: &mut Reader, data_dir: Option<&Path>) -> Option<ServerSettings> {
    let listen = reader.required(&keys::LISTEN, listen_address);
    let tls = tls(reader, data_dir);
    let trusted_proxies = reader.optional(&keys::TRUSTED_PROXIES, networks);
    Some(ServerSettings {
        listen: listen?,
        tls: tls?,
        trusted_proxies: trusted_proxies?.unwrap_or_default(),
    })
}

/// Reads who may use the console; `Some(None)` is nobody.
#[expect(
    clippy::option_option,
    reason = "the outer one is a fault, the inner one absence"
)]
pub(super) fn management(reader: &mut Reader) -> Option<Option<ManagementSettings>> {
    let username = reader.optional(&keys::MANAGEMENT_USERNAME, console_user);
    let password = reader.optional(&keys::MANAGEMENT_PASSWORD, console_password);
    match (username?, password?) {
        (Some(username), Some(password)) => Some(Some(ManagementSettings { username, password })),
        (None, None) => Some(None),
        (Some(_), None) => {
            reader.missing(&keys::MANAGEMENT_PASSWORD, &keys::MANAGEMENT_USERNAME);
            None
        }
        (None, Some(_)) => {
            reader.missing(&keys::MANAGEMENT_USERNAME, &keys::MANAGEMENT_PASSWORD);
            None
        }
    }
}

/// Reads the log's filter and form.
pub(super) fn log(reader: &mut Reader) -> Option<LogSettings> {
    let filter = reader.required(&keys::LOG, |text| {
        let filter = plain_text(text)?;
        EnvFilter::try_new(&filter).map_err(|error| {
            let reason = format!("is not a tracing filter: {error}");
            Wrong::new(reason, "write a level, or target=level, comma separated")
        })?;
        Ok(filter)
    });
    let format = reader.required(&keys::LOG_FORMAT, |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Wrong::new(
            "is not a form of log output",
            "write text or json",
        )),
    });
    Some(LogSettings {
        filter: filter?,
        format: format?,
    })
}

fn listen_address(text: &str) -> Result<ListenAddress, Wrong> {
    // What fits into the kernel's address of a Unix socket, less the byte that ends it.
    const LONGEST_SOCKET_PATH_BYTES: usize = 107;
    let Some(path) = text.strip_prefix("unix:") else {
        return socket_address(text).map(ListenAddress::Tcp);
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') || path.ends_with('/') || path.contains(char::is_control) {
        Err(Wrong::new(
            "names no absolute path of a socket",
            "write unix:/path/of/socket",
        ))
    } else if path.len() > LONGEST_SOCKET_PATH_BYTES {
        Err(Wrong::new(
            "is too long for a socket",
            "choose a path of at most 107 bytes",
        ))
    } else {
        Ok(ListenAddress::Unix(PathBuf::from(path)))
    }
}

enum TlsMode {
    On,
    AdHoc,
    Off,
}

fn tls(reader: &mut Reader, data_dir: Option<&Path>) -> Option<TlsSettings> {
    let mode = reader.required(&keys::TLS, |text| match (text, as_boolean(text)) {
        ("on", _) | (_, Some(true)) => Ok(TlsMode::On),
        ("off", _) | (_, Some(false)) => Ok(TlsMode::Off),
        ("adhoc", _) => Ok(TlsMode::AdHoc),
        _ => Err(Wrong::new("is not a way of TLS", "write on, adhoc or off")),
    });
    let certificate = reader.required(&keys::TLS_CERT, path);
    let key = reader.required(&keys::TLS_KEY, path);
    Some(match mode? {
        TlsMode::On => TlsSettings::Files {
            certificate: certificate?,
            key: key?,
        },
        TlsMode::AdHoc => TlsSettings::AdHoc {
            folder: data_dir?.to_owned(),
        },
        TlsMode::Off => TlsSettings::Off,
    })
}

fn networks(text: &str) -> Result<Vec<IpNet>, Wrong> {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    items.map(network).collect()
}

fn network(text: &str) -> Result<IpNet, Wrong> {
    let network = text
        .parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| {
            let reason = format!("'{text}' is not a network");
            Wrong::new(
                reason,
                "write networks such as 10.0.0.0/8 or single addresses",
            )
        })?;
    if network.prefix_len() == 0 {
        let mend = "name the networks of your proxies only";
        return Err(Wrong::new(
            format!("{text} lets anyone forge their address"),
            mend,
        ));
    }
    Ok(network.trunc())
}

/// RFC 7617 §2: "a user-id containing a colon character is invalid".
fn console_user(text: &str) -> Result<String, Wrong> {
    let name = plain_text(text)?;
    if name.contains(':') {
        return Err(Wrong::new(
            "holds a colon, which Basic Auth cannot carry",
            "remove it",
        ));
    }
    Ok(name)
}

fn console_password(text: &str) -> Result<Secret, Wrong> {
    const HASH_BEGINNINGS: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];
    let password = plain_text(text)?;
    if HASH_BEGINNINGS
        .iter()
        .any(|beginning| password.starts_with(beginning))
    {
        let hash = HashParts::from_str(&password).map_err(|_| {
            Wrong::new(
                "begins like a bcrypt hash but is not a whole one",
                "check that the shell left its $ signs alone",
            )
        })?;
        // Every request to the console would pay for it.
        if !(4..=15).contains(&hash.get_cost()) {
            return Err(Wrong::new(
                "has a bcrypt cost beyond 4 to 15",
                "hash it with cost 12",
            ));
        }
    }
    Ok(Secret::new(password))
}

//! The section of MongoDB: the connection string, given or made from its parts.

use std::net::Ipv6Addr;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ConnectionString, HostInfo, ReadPreference, ServerAddress, Tls,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::MongoSettings;
use super::endpoints::is_loopback_host;
use super::fault::Wrong;
use super::keys::{self, Key};
use super::reader::{Reader, number, plain_text};
use super::secret::Secret;

/// The parts that a connection string makes void.
static PARTS: [&Key; 6] = [
    &keys::MONGO_HOST,
    &keys::MONGO_PORT,
    &keys::MONGO_USERNAME,
    &keys::MONGO_PASSWORD,
    &keys::MONGO_AUTH_SOURCE,
    &keys::MONGO_REPLICA_SET,
];

/// Reads the section.
pub(super) fn mongo(reader: &mut Reader, may_be_insecure: bool) -> Option<MongoSettings> {
    let database = reader.required(&keys::MONGO_DBNAME, database_name);
    let timeout = || number(1..=3_600_000_u64);
    let connect = reader.optional(&keys::MONGO_CONNECT_TIMEOUT_MS, timeout());
    let selection = reader.optional(&keys::MONGO_SERVER_SELECTION_TIMEOUT_MS, timeout());
    let database = database?;
    let has_parts = PARTS.iter().any(|part| reader.is_set(part));
    let (uri, parsed) = if reader.is_set(&keys::MONGO_URI) || !has_parts {
        warn_of_void_parts(reader);
        reader.required(&keys::MONGO_URI, |text| {
            let parsed = parse(text)?;
            check(&parsed, may_be_insecure)?;
            Ok((text.to_owned(), parsed))
        })?
    } else {
        from_parts(reader, &database, may_be_insecure)?
    };
    let from_setting = |millis: Option<u64>| millis.map(Duration::from_millis);
    Some(MongoSettings {
        uri: Secret::new(uri),
        database,
        connect_timeout: parsed.connect_timeout.or(from_setting(connect?)),
        server_selection_timeout: parsed.server_selection_timeout.or(from_setting(selection?)),
    })
}

/// What the connection string in use says of a key: itself, or a time-out, which wins over a setting.
pub(super) fn told_by_uri(key: &Key, settings: &MongoSettings) -> Option<String> {
    let uri = settings.uri.expose();
    let timeout: fn(ConnectionString) -> Option<Duration> = match key.name {
        name if name == keys::MONGO_URI.name => return Some(uri.to_owned()),
        name if name == keys::MONGO_CONNECT_TIMEOUT_MS.name => |uri| uri.connect_timeout,
        name if name == keys::MONGO_SERVER_SELECTION_TIMEOUT_MS.name => {
            |uri| uri.server_selection_timeout
        }
        _ => return None,
    };
    let timeout = timeout(ConnectionString::parse(uri).ok()?)?;
    Some(timeout.as_millis().to_string())
}

fn warn_of_void_parts(reader: &mut Reader) {
    for part in PARTS {
        if reader.is_set(part) {
            let text = format!("{} has no effect: {} wins", part.name, keys::MONGO_URI.name);
            reader.warnings.push(text);
        }
    }
}

fn from_parts(
    reader: &mut Reader,
    database: &str,
    may_be_insecure: bool,
) -> Option<(String, ConnectionString)> {
    let host = reader.optional(&keys::MONGO_HOST, host);
    let port = reader.optional(&keys::MONGO_PORT, number(1..=u16::MAX));
    let username = reader.optional(&keys::MONGO_USERNAME, plain_text);
    let password = reader.optional(&keys::MONGO_PASSWORD, plain_text);
    let auth_source = reader.optional(&keys::MONGO_AUTH_SOURCE, plain_text);
    let replica_set = reader.optional(&keys::MONGO_REPLICA_SET, plain_text);
    let (host, username, password) = (host?.unwrap_or_else(localhost), username?, password?);
    let credentials = match (&username, &password) {
        (Some(username), Some(password)) => {
            format!("{}:{}@", encoded(username), encoded(password))
        }
        (None, None) => String::new(),
        (Some(_), None) => {
            reader.missing(&keys::MONGO_PASSWORD, &keys::MONGO_USERNAME);
            return None;
        }
        (None, Some(_)) => {
            reader.missing(&keys::MONGO_USERNAME, &keys::MONGO_PASSWORD);
            return None;
        }
    };
    let mut options = Vec::new();
    if username.is_some() {
        // Flask-PyMongo authenticates against the database it uses.
        let source = auth_source?.unwrap_or_else(|| database.to_owned());
        options.push(format!("authSource={}", encoded(&source)));
    }
    if let Some(replica_set) = replica_set? {
        options.push(format!("replicaSet={}", encoded(&replica_set)));
    }
    let uri = match host {
        Host::Name(name) => {
            let port = port?.unwrap_or(27017);
            format!(
                "mongodb://{credentials}{name}:{port}/?{}",
                options.join("&")
            )
        }
        Host::Socket(path) => {
            format!(
                "mongodb://{credentials}{}/?{}",
                encoded(&path),
                options.join("&")
            )
        }
    };
    let uri = uri.trim_end_matches('?').to_owned();
    match parse(&uri).and_then(|parsed| check(&parsed, may_be_insecure).map(|()| parsed)) {
        Ok(parsed) => Some((uri, parsed)),
        Err(wrong) => {
            reader.reject(&keys::MONGO_HOST, wrong);
            None
        }
    }
}

/// What `SENTINEL_MONGO_HOST` may name.
enum Host {
    Name(String),
    Socket(String),
}

fn localhost() -> Host {
    Host::Name("localhost".to_owned())
}

fn host(text: &str) -> Result<Host, Wrong> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if text.starts_with('/') {
        Ok(Host::Socket(text.to_owned()))
    } else if bare.parse::<Ipv6Addr>().is_ok() {
        Ok(Host::Name(format!("[{bare}]")))
    } else if !text.is_empty() && text.chars().all(is_name) {
        Ok(Host::Name(text.to_owned()))
    } else {
        Err(Wrong::new(
            "is not one host",
            "write one host name or address; the port goes into SENTINEL_MONGO_PORT, several \
             hosts or options into SENTINEL_MONGO_URI",
        ))
    }
}

/// Everything but the unreserved characters of RFC 3986 §2.3; the driver knows a socket by a
/// plain `.sock` at the end.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// MongoDB's own rules for the name of a database.
fn database_name(text: &str) -> Result<String, Wrong> {
    let name = plain_text(text)?;
    if name.len() > 63
        || name.contains(['/', '\\', '.', ' ', '"', '$', '*', '<', '>', ':', '|', '?'])
    {
        Err(Wrong::new(
            "is not the name of a database",
            "use at most 63 letters, digits, - and _",
        ))
    } else {
        Ok(name)
    }
}

fn parse(uri: &str) -> Result<ConnectionString, Wrong> {
    const MEND: &str = "write mongodb://user:password@host:port/?options, with % codes for \
                        special characters of user and password";
    // The driver's text may quote a piece of a password that was not encoded, so it is passed on
    // only where there are neither credentials nor options.
    ConnectionString::parse(uri).map_err(|error| {
        if uri.contains(['@', '?']) {
            Wrong::new("is not a connection string of MongoDB", MEND)
        } else {
            Wrong::new(
                format!("is not a connection string of MongoDB: {}", error.kind),
                MEND,
            )
        }
    })
}

/// An acknowledged token has to survive, and a revoked one must not be read from a secondary.
fn check(uri: &ConnectionString, may_be_insecure: bool) -> Result<(), Wrong> {
    let concern = uri.write_concern.as_ref();
    if let Some(Acknowledgment::Nodes(0 | 1)) = concern.and_then(|concern| concern.w.as_ref()) {
        return Err(Wrong::new(
            "asks for w=0 or w=1, which loses tokens",
            "remove w",
        ));
    }
    if concern.and_then(|concern| concern.journal) == Some(false) {
        return Err(Wrong::new(
            "asks for journal=false, which loses tokens",
            "remove journal",
        ));
    }
    if !matches!(uri.read_preference, None | Some(ReadPreference::Primary)) {
        return Err(Wrong::new(
            "asks for reads from secondaries, which may still know revoked tokens",
            "remove readPreference",
        ));
    }
    if uri.connect_timeout == Some(Duration::ZERO)
        || uri.server_selection_timeout == Some(Duration::ZERO)
    {
        return Err(Wrong::new(
            "has a time-out of 0, which is for ever",
            "remove the time-out",
        ));
    }
    if may_be_insecure { Ok(()) } else { secure(uri) }
}

fn secure(uri: &ConnectionString) -> Result<(), Wrong> {
    const OVERRIDE: &str = "or set SENTINEL_ALLOW_INSECURE_STORES=true";
    let is_local = match &uri.host_info {
        HostInfo::HostIdentifiers(hosts) => hosts.iter().all(|address| match address {
            ServerAddress::Tcp { host, .. } => is_loopback_host(host),
            ServerAddress::Unix { .. } => true,
            _ => false,
        }),
        _ => false,
    };
    if is_local {
        return Ok(());
    }
    let has_tls = match &uri.tls {
        Some(Tls::Enabled(options)) => options.allow_invalid_certificates != Some(true),
        Some(Tls::Disabled) | None => false,
    };
    if !has_tls {
        let mend = format!("give SENTINEL_MONGO_URI with tls=true, {OVERRIDE}");
        return Err(Wrong::new(
            "reaches another machine without verified TLS",
            mend,
        ));
    }
    if uri.credential.is_none() {
        let mend = format!("give user and password, {OVERRIDE}");
        return Err(Wrong::new(
            "reaches another machine without a password",
            mend,
        ));
    }
    Ok(())
}

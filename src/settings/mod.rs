//! Settings: validated, with real types. One struct per section, passed by value to its owner.
//!
//! What does not live here: the table of keys (`keys`), reading sources (`sources`), checking
//! values (`load` and one file per section).

mod config_file;
mod endpoints;
pub mod fault;
pub mod keys;
mod layers;
pub mod load;
mod mongo;
mod reader;
mod redact;
mod redis;
pub mod secret;
mod server;
pub mod sources;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use secret::Secret;

/// Everything an operator can set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Paths and names of the HTTP surface.
    pub endpoints: EndpointSettings,
    /// Where users, clients and tokens are kept.
    pub store: StoreSettings,
    /// Lifetimes of tokens.
    pub tokens: TokenSettings,
    /// Password hashing and the rule for new passwords.
    pub passwords: PasswordSettings,
    /// How many logins may fail.
    pub throttle: ThrottleSettings,
    /// Who may use the console; `None` answers 403 there.
    pub management: Option<ManagementSettings>,
    /// Listener, TLS and proxies.
    pub server: ServerSettings,
    /// Folder whose pages override the built-in ones.
    pub templates: PathBuf,
    /// Log output.
    pub log: LogSettings,
    /// Separate plain listener for `/metrics`, `/healthz` and `/readyz`.
    pub metrics_listen: Option<SocketAddr>,
    /// The embedded store, the ad-hoc certificate and what `dev` keeps.
    pub data_dir: PathBuf,
}

/// Paths and names of the HTTP surface.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Prefix of the OAuth endpoints: empty, or `/` and segments, without a slash at the end.
    pub route_prefix: String,
    /// Path of the token endpoint below the prefix; `None` turns it off.
    pub token_path: Option<String>,
    /// Path of the console below the prefix; `None` turns it and its API off.
    pub management_path: Option<String>,
    /// Where the error page is.
    pub error_uri: String,
    /// Name of another page to use as error page.
    pub error_endpoint: Option<String>,
    /// The issuer identifier (RFC 8414 §2), exactly as clients dial it; `None` is scheme and
    /// address of the listener.
    pub issuer: Option<Url>,
}

/// Where users, clients and tokens are kept.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// MongoDB is the truth, Redis the fast copy.
    MongoDb {
        /// The truth.
        mongo: MongoSettings,
        /// The fast copy.
        redis: RedisSettings,
        /// How either is to keep tokens; `None` is as it does.
        token_storage: Option<TokenStorageMode>,
    },
    /// One file on disk, for one machine; no Redis. The file is `sentinel.redb` in the data
    /// folder. It has hashes of tokens only.
    Embedded,
}

/// How stores keep tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStorageMode {
    /// As they are, as Flask-Sentinel does.
    Plain,
    /// As SHA-256.
    Hashed,
}

/// Where MongoDB is.
#[derive(Clone, Debug)]
pub struct MongoSettings {
    /// A connection string, made from the parts when those were given.
    pub uri: Secret,
    /// Name of the database.
    pub database: String,
    /// How long a TCP connect may take; `None` is one second.
    pub connect_timeout: Option<Duration>,
    /// How long to look for a server; `None` is two seconds.
    pub server_selection_timeout: Option<Duration>,
}

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// How the token space is laid over servers.
    pub topology: RedisTopology,
    /// `TokenCache` actors per endpoint, at least one.
    pub shards_per_endpoint: usize,
}

/// How the token space is laid over Redis servers.
#[derive(Clone, Debug)]
pub enum RedisTopology {
    /// Each endpoint (a `redis://`, `rediss://` or `unix://` address) owns an equal range of the
    /// 16,384 slots.
    Endpoints(Vec<Secret>),
    /// A Redis Cluster, found from any of these `redis://` or `rediss://` addresses.
    Cluster(Vec<Secret>),
}

/// Lifetimes of tokens.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Of access tokens.
    pub access_lifetime: Duration,
    /// Of refresh tokens, from the login on; `None` is for ever.
    pub refresh_lifetime: Option<Duration>,
    /// Of a refresh token that is not used; `None` is as long as that of the login.
    pub refresh_idle_lifetime: Option<Duration>,
}

/// Password hashing and the rule for new passwords.
#[derive(Clone, Debug)]
pub struct PasswordSettings {
    /// Log2 of the bcrypt rounds of new hashes, 4 to 15.
    pub cost: u32,
    /// Fewest characters of a new password.
    pub min_characters: usize,
    /// Logins that may wait for a bcrypt worker.
    pub queue: usize,
    /// Hashes that one core computes at once, at most 6; 0 is the `bcrypt` library's one.
    pub lanes: usize,
}

/// How many logins may fail, zero for any number, and within what time.
#[derive(Clone, Debug)]
pub struct ThrottleSettings {
    /// Of one user name, or at the console, from one network.
    pub user: u32,
    /// From one network; also client authentications.
    pub network: u32,
    /// The window in which they count.
    pub window: Duration,
}

/// Who may use the console.
#[derive(Clone, Debug)]
pub struct ManagementSettings {
    /// User name of Basic Auth; without a colon.
    pub username: String,
    /// The password, or its bcrypt hash.
    pub password: Secret,
}

/// Listener, TLS and proxies.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: ListenAddress,
    /// How connections are encrypted.
    pub tls: TlsSettings,
    /// Peers whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// As it is written in the setting.
impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// How connections are encrypted.
#[derive(Clone, Debug)]
pub enum TlsSettings {
    /// With a chain and a key from PEM files.
    Files {
        /// PEM chain, the server's own certificate first.
        certificate: PathBuf,
        /// PEM key: PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
    /// With a self-signed pair, made once in this folder.
    AdHoc {
        /// The folder that keeps `adhoc-cert.pem` and `adhoc-key.pem`.
        folder: PathBuf,
    },
    /// Not at all: a proxy in front ends TLS.
    Off,
}

/// Log output.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A `tracing` filter, such as `info`.
    pub filter: String,
    /// Its form.
    pub format: LogFormat,
}

/// The form of log output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

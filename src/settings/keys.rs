//! The one table of settings: name, default, unit and meaning of every key.
//!
//! Help text, the README table, `sentinel settings` and the nearest-name hint are made from it,
//! so they cannot drift. What does not live here: checking values.

use std::fmt::Write;

/// One setting, spelled alike in the environment, the configuration file and the documents.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its default as text; `None` when it has none or when it is worked out.
    pub default: Option<&'static str>,
    /// The default of `sentinel dev` where it is another one.
    pub development_default: Option<&'static str>,
    /// What holds while it is not set and `default` is `None`.
    pub when_absent: &'static str,
    /// What its number counts; empty for everything but numbers.
    pub unit: &'static str,
    /// One line of meaning.
    pub meaning: &'static str,
    /// How much of its value may be shown.
    pub sensitivity: Sensitivity,
    /// Whether it is a comma-separated list, which a file may write as an array.
    pub is_list: bool,
    /// The command line flag that sets it.
    pub flag: Option<&'static str>,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// All of it.
    Open,
    /// An address: all but the credentials in it.
    Address,
    /// None of it.
    Secret,
}

impl Key {
    const fn new(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            default: Some(default),
            development_default: None,
            when_absent: "none",
            unit: "",
            meaning,
            sensitivity: Sensitivity::Open,
            is_list: false,
            flag: None,
        }
    }

    const fn absent(name: &'static str, when_absent: &'static str, meaning: &'static str) -> Self {
        let mut key = Self::new(name, "", meaning);
        key.default = None;
        key.when_absent = when_absent;
        key
    }

    const fn in_development(mut self, default: &'static str) -> Self {
        self.development_default = Some(default);
        self
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    const fn secret(mut self) -> Self {
        self.sensitivity = Sensitivity::Secret;
        self
    }

    const fn address(mut self) -> Self {
        self.sensitivity = Sensitivity::Address;
        self
    }

    const fn list(mut self) -> Self {
        self.is_list = true;
        self
    }

    /// The default as documents show it.
    pub fn shown_default(&self) -> &'static str {
        self.default.unwrap_or(self.when_absent)
    }
}

/// Names each key for the code that reads it and lists all of them for everyone else.
macro_rules! keys {
    ($($constant:ident = $key:expr;)*) => {
        $(pub(super) static $constant: Key = $key;)*

        /// Every key, in the order of the documents.
        pub static KEYS: &[&Key] = &[$(&$constant),*];
    };
}

keys! {
    ROUTE_PREFIX = Key::new("SENTINEL_ROUTE_PREFIX", "/oauth", "prefix of the OAuth endpoints");
    TOKEN_URL = Key::new("SENTINEL_TOKEN_URL", "/token",
        "path of the token endpoint below the prefix; false turns it off");
    MANAGEMENT_URL = Key::new("SENTINEL_MANAGEMENT_URL", "/management",
        "path of the console below the prefix; false turns it and its API off");
    REDIS_URL = Key::new("SENTINEL_REDIS_URL", "redis://localhost:6379/0",
        "redis://, rediss:// or unix:// address; several, comma separated, are one shard each; \
         redis+cluster://host:port,host:port for Redis Cluster (rediss+cluster:// with TLS)")
        .address().list();
    MONGO_URI = Key::new("SENTINEL_MONGO_URI", "mongodb://localhost:27017",
        "where MongoDB is; wins over the parts that follow").address();
    MONGO_HOST = Key::absent("SENTINEL_MONGO_HOST", "localhost",
        "part of the address: host, or path of a Unix socket").address();
    MONGO_PORT = Key::absent("SENTINEL_MONGO_PORT", "27017", "part of the address: port");
    MONGO_USERNAME = Key::absent("SENTINEL_MONGO_USERNAME", "none",
        "part of the address: user name");
    MONGO_PASSWORD = Key::absent("SENTINEL_MONGO_PASSWORD", "none",
        "part of the address: password").secret();
    MONGO_AUTH_SOURCE = Key::absent("SENTINEL_MONGO_AUTH_SOURCE", "SENTINEL_MONGO_DBNAME",
        "part of the address: database that knows the user");
    MONGO_REPLICA_SET = Key::absent("SENTINEL_MONGO_REPLICA_SET", "none",
        "part of the address: name of the replica set");
    MONGO_CONNECT_TIMEOUT_MS = Key::absent("SENTINEL_MONGO_CONNECT_TIMEOUT_MS", "1000",
        "how long a connection may take to open, unless the URI says it").unit("milliseconds");
    MONGO_SERVER_SELECTION_TIMEOUT_MS = Key::absent("SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS",
        "2000", "how long to look for a usable server, unless the URI says it")
        .unit("milliseconds");
    MONGO_DBNAME = Key::new("SENTINEL_MONGO_DBNAME", "oauth",
        "database name; one in the URI does not count").address();
    ALLOW_INSECURE_STORES = Key::new("SENTINEL_ALLOW_INSECURE_STORES", "false",
        "true lets Redis and MongoDB on other machines go without TLS or password");
    MANAGEMENT_USERNAME = Key::absent("SENTINEL_MANAGEMENT_USERNAME", "none",
        "user name of the console; without it and the password the console answers 403");
    MANAGEMENT_PASSWORD = Key::absent("SENTINEL_MANAGEMENT_PASSWORD", "none",
        "password of the console, or its bcrypt hash").secret();
    TOKEN_EXPIRES_IN = Key::new("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "3600",
        "lifetime of access tokens").unit("seconds");
    ERROR_URI = Key::absent("OAUTH2_PROVIDER_ERROR_URI", "the prefix and /errors",
        "where the error page is; with an address elsewhere, ours is off");
    ERROR_ENDPOINT = Key::absent("OAUTH2_PROVIDER_ERROR_ENDPOINT", "none",
        "name of another page to use as error page");
    LISTEN = Key::new("SENTINEL_LISTEN", "127.0.0.1:5000", "address:port, or unix:/path")
        .flag("--listen");
    TLS = Key::new("SENTINEL_TLS", "on",
        "on needs the two files below; adhoc makes a self-signed pair; off for a proxy in front")
        .in_development("adhoc");
    TLS_CERT = Key::new("SENTINEL_TLS_CERT", "certs/cert.pem",
        "PEM chain, the server's own certificate first");
    TLS_KEY = Key::new("SENTINEL_TLS_KEY", "certs/key.pem", "PEM key: PKCS#8, PKCS#1 or SEC1");
    TEMPLATES = Key::new("SENTINEL_TEMPLATES", "templates",
        "folder whose pages override the built-in ones");
    STORE = Key::new("SENTINEL_STORE", "mongodb",
        "mongodb, or embedded: one file under the data folder, for one machine")
        .in_development("embedded");
    DATA_DIR = Key::new("SENTINEL_DATA_DIR", "data",
        "folder of the embedded store and the ad-hoc certificate").flag("--data-dir");
    TOKEN_STORAGE = Key::absent("SENTINEL_TOKEN_STORAGE", "as the database has them; a new one plain; embedded: hashed",
        "plain, as Flask-Sentinel, or hashed: the stores have the SHA-256 of each token, and no program can read Redis instead of asking");
    CACHE_SHARDS = Key::new("SENTINEL_CACHE_SHARDS", "1",
        "TokenCache actors per Redis endpoint, each with a connection of its own; several \
         share out what one sends together, which costs more processor time for each look-up");
    REFRESH_TOKEN_EXPIRES_IN = Key::new("SENTINEL_REFRESH_TOKEN_EXPIRES_IN", "2592000",
        "lifetime of refresh tokens; 0 is for ever").unit("seconds");
    REFRESH_TOKEN_IDLE_EXPIRES_IN = Key::new("SENTINEL_REFRESH_TOKEN_IDLE_EXPIRES_IN", "0",
        "lifetime of a refresh token that is not used; 0 is as long as that of the login")
        .unit("seconds");
    BCRYPT_COST = Key::new("SENTINEL_BCRYPT_COST", "12",
        "cost of password hashes, 4 to 15 (below 10 for tests); a weaker one is made anew at login").unit("log2 of rounds");
    PASSWORD_MIN_LENGTH = Key::new("SENTINEL_PASSWORD_MIN_LENGTH", "8",
        "fewest characters of a new password, 1 to 71").unit("characters");
    ISSUER = Key::absent("SENTINEL_ISSUER", "scheme and address of SENTINEL_LISTEN",
        "issuer identifier (RFC 8414), exactly as clients dial it").address();
    PASSWORD_QUEUE = Key::new("SENTINEL_PASSWORD_QUEUE", "64",
        "logins that may wait for a bcrypt lane; past it 503").unit("logins");
    PASSWORD_LANES = Key::new("SENTINEL_PASSWORD_LANES", "6",
        "hashes that one core computes at once, 1 to 6; 0 has the bcrypt library compute one").unit("hashes");
    THROTTLE_USER = Key::new("SENTINEL_THROTTLE_USER", "10",
        "logins of one user name, or at the console, that may fail from one network in a window; past it 429; 0 is any number").unit("failures");
    THROTTLE_NETWORK = Key::new("SENTINEL_THROTTLE_NETWORK", "100",
        "logins that may fail from one network in a window, and client authentications; past it 429; 0 is any number").unit("failures");
    THROTTLE_WINDOW = Key::new("SENTINEL_THROTTLE_WINDOW", "900",
        "the window in which failures count, from its first one on").unit("seconds");
    TRUSTED_PROXIES = Key::absent("SENTINEL_TRUSTED_PROXIES", "none",
        "CIDRs, comma separated, of proxies whose Forwarded, X-Forwarded-For and X-Forwarded-Proto are believed").list();
    LOG = Key::new("SENTINEL_LOG", "info", "tracing filter, such as info or warp_sentinel=debug");
    LOG_FORMAT = Key::new("SENTINEL_LOG_FORMAT", "text", "text or json").flag("--log-format");
    METRICS_LISTEN = Key::absent("SENTINEL_METRICS_LISTEN", "none",
        "address:port of a separate plain listener for /metrics, /healthz and /readyz");
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().copied().find(|key| key.name == name)
}

/// The known key whose name is nearest to an unknown one.
pub fn nearest(unknown: &str) -> &'static Key {
    // All names share two prefixes, and a forgotten or wrong prefix is a likely mistake: only
    // what follows it is compared.
    let unknown = unknown.to_ascii_uppercase();
    let likeness =
        |key: &Key| strsim::normalized_damerau_levenshtein(tail(&unknown), tail(key.name));
    KEYS.iter()
        .copied()
        .max_by(|left, right| likeness(left).total_cmp(&likeness(right)))
        .unwrap_or(&ROUTE_PREFIX)
}

/// Every key for `--help`: name, default, then the meaning on a line of its own.
pub fn help() -> String {
    KEYS.iter().fold(String::new(), |mut text, key| {
        let (default, unit) = (key.shown_default(), spaced(key.unit));
        let development = development_note(key);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "  {} [{default}{unit}{development}]\n      {}",
            key.name, key.meaning
        );
        text
    })
}

/// Every key as the table of the README.
pub fn markdown_table() -> String {
    let head = "| setting | default | meaning |\n| --- | --- | --- |\n".to_owned();
    KEYS.iter().fold(head, |mut text, key| {
        let default = match key.default {
            Some(default) => format!("`{default}`"),
            None => key.when_absent.to_owned(),
        };
        let (unit, development) = (spaced(key.unit), development_note(key));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {default}{unit}{development} | {} |",
            key.name, key.meaning
        );
        text
    })
}

fn tail(name: &str) -> &str {
    name.strip_prefix("SENTINEL_")
        .or_else(|| name.strip_prefix("OAUTH2_PROVIDER_"))
        .unwrap_or(name)
}

fn spaced(unit: &str) -> String {
    if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    }
}

fn development_note(key: &Key) -> String {
    key.development_default
        .map(|other| format!("; dev: {other}"))
        .unwrap_or_default()
}

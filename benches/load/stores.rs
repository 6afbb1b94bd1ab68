//! The MongoDB and the Redis of a run: those that the environment names, or its own.

use std::time::Duration;

use warp_sentinel::clock::Clock;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::settings::{MongoSettings, RedisTopology};
use warp_sentinel::stores::redis::connection::RedisConnection;
use warp_sentinel::stores::redis::endpoints::{RedisDeadlines, RedisEndpoints};
use warp_sentinel::stores::{Truth, mongo};

use super::Outcome;
use super::plan::{Part, Plan, variable};
use super::support::server::Server;
use super::support::stores::{CACHE_SIZE_GB, are_installed, start_mongod, start_redis};

/// Why a part does without them.
pub(crate) const MISSING: &str = "mongod or redis-server is not installed: run ./test, which \
    fetches them, or set SENTINEL_BENCH_MONGO_URI and SENTINEL_BENCH_REDIS_URL";

/// How long Redis may take where nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where they are, and a database in them.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    /// The truth.
    pub(crate) mongo_uri: String,
    /// The fast copy.
    pub(crate) redis_url: String,
    /// A database for this run alone.
    pub(crate) database: String,
}

/// Stores that end with this process, or when dropped.
pub(crate) struct Own {
    /// Where they are.
    pub(crate) stores: Stores,
    _mongod: Server,
    _redis: Server,
}

impl Own {
    /// Starts them, if `plan` has a part that needs stores and the environment names none. `None`
    /// also where the programs are not installed.
    pub(crate) async fn start(plan: &Plan) -> Option<Self> {
        if plan.stores.is_some() || !plan.needs_stores() || !are_installed() {
            return None;
        }
        // With its indexes a database of ten million tokens fits into it: what is measured is not this
        // machine's disk. mongod by itself takes as much where there are 24 GB.
        let roomy = [CACHE_SIZE_GB, "11"];
        let options: &[&str] = if plan.has(Part::Size) { &roomy } else { &[] };
        let (mongod, redis) = tokio::join!(start_mongod(options), start_redis(&[]));
        let stores = Stores {
            mongo_uri: format!("mongodb://{}", mongod.address()),
            redis_url: format!("redis://{}/0", redis.address()),
            database: fresh_database(),
        };
        Some(Self {
            stores,
            _mongod: mongod,
            _redis: redis,
        })
    }
}

impl Stores {
    /// Those that a process of ours was told of.
    pub(crate) fn from_arguments(arguments: &[&str]) -> Option<Self> {
        let [mongo_uri, redis_url, database] = arguments else {
            return None;
        };
        Some(Self {
            mongo_uri: (*mongo_uri).to_owned(),
            redis_url: (*redis_url).to_owned(),
            database: (*database).to_owned(),
        })
    }

    /// The arguments that tell a process of them, after the name of its role.
    pub(crate) fn arguments<'s>(&'s self, role: &'s str) -> Vec<&'s str> {
        vec![role, &self.mongo_uri, &self.redis_url, &self.database]
    }

    /// The same stores with another database, for a process that must not see the others' data.
    pub(crate) fn beside(&self, name: &str) -> Self {
        let mut own = self.clone();
        own.database = format!("{}{name}", self.database);
        own
    }

    /// Opens the database as a server does, which makes its indexes.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn open(&self) -> Outcome<Truth> {
        let settings = MongoSettings {
            uri: Secret::new(self.mongo_uri.as_str()),
            database: self.database.clone(),
            connect_timeout: None,
            server_selection_timeout: None,
        };
        Ok(mongo::open(&settings, &Clock::default()).await?)
    }

    /// Connects to Redis as a server does, but with patience.
    ///
    /// # Errors
    /// What Redis says.
    pub(crate) async fn connect(&self) -> Outcome<RedisConnection> {
        let address = Secret::new(self.redis_url.as_str());
        let endpoints = RedisEndpoints::new(&RedisTopology::Endpoints(vec![address]))?;
        let endpoint = endpoints.endpoints().first().ok_or("no Redis is named")?;
        let deadlines = RedisDeadlines {
            connect: PATIENCE,
            response: PATIENCE,
        };
        Ok(endpoint.connect(deadlines, None, |_| {}).await?)
    }

    /// Drops the database and those beside it.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) async fn drop_databases(&self) -> Outcome<()> {
        let client = mongodb::Client::with_uri_str(&self.mongo_uri).await?;
        for name in client.list_database_names().await? {
            if name.starts_with(&self.database) {
                client.database(&name).drop().await?;
            }
        }
        Ok(())
    }
}

/// The stores that the environment names.
///
/// # Errors
/// When it names one of the two alone, or one that is not on this machine.
pub(crate) fn named() -> Outcome<Option<Stores>> {
    let uris = (
        variable("SENTINEL_BENCH_MONGO_URI"),
        variable("SENTINEL_BENCH_REDIS_URL"),
    );
    match uris {
        (Some(mongo_uri), Some(redis_url)) => {
            for uri in [&mongo_uri, &redis_url] {
                check_loopback(uri)?;
            }
            Ok(Some(Stores {
                mongo_uri,
                redis_url,
                database: fresh_database(),
            }))
        }
        (None, None) => Ok(None),
        _ => Err("SENTINEL_BENCH_MONGO_URI and SENTINEL_BENCH_REDIS_URL go together".into()),
    }
}

/// Refuses stores of other machines: a bench must not load what others use.
fn check_loopback(uris: &str) -> Outcome<()> {
    let refused = || "the stores of a bench are at addresses of this machine's loopback";
    let (scheme, rest) = uris.split_once("://").ok_or_else(refused)?;
    if scheme == "unix" {
        return Ok(());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    // Of a list of whole addresses only the first would be looked at.
    let is_plain = rest.matches("://").count() == 0 && !scheme.ends_with("+srv");
    if is_plain && hosts.split(',').all(is_loopback) {
        Ok(())
    } else {
        Err(refused().into())
    }
}

fn is_loopback(host: &str) -> bool {
    // A Unix socket in a MongoDB address is a percent-encoded path.
    if host.starts_with("%2F") || host.starts_with("%2f") {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

// With an end of its own, so that it is no beginning of another process's.
fn fresh_database() -> String {
    format!("sentinel_bench_{}_", std::process::id())
}

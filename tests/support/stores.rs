//! One real Redis and one real mongod per test binary, started on first use.
//!
//! Each test takes a MongoDB database and a Redis database of its own: the storage contract fixes
//! bare keys, so a prefix could not keep tests apart. `FLUSHALL` is therefore forbidden here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use super::server::{Server, free_port};

/// How many Redis databases there are; more than one binary has tests.
const REDIS_DATABASES: u32 = 4_096;
/// The variable that names the program, and how it is called.
const REDIS_SERVER: (&str, &str) = ("SENTINEL_TEST_REDIS_SERVER", "redis-server");
const MONGOD: (&str, &str) = ("SENTINEL_TEST_MONGOD", "mongod");
/// The option of mongod for how much it keeps in memory. What it takes unasked is too much for
/// several of them.
pub(crate) const CACHE_SIZE_GB: &str = "--wiredTigerCacheSizeGB";

/// The running stores.
pub(crate) struct Stores {
    mongo: Server,
    redis: Server,
    databases: AtomicU32,
    redis_databases: AtomicU32,
}

/// The stores of this test binary.
pub(crate) async fn stores() -> &'static Stores {
    static STORES: OnceCell<Stores> = OnceCell::const_new();
    STORES.get_or_init(start).await
}

async fn start() -> Stores {
    let (mongo, redis) = tokio::join!(start_mongod(&[]), start_redis(&[]));
    Stores {
        mongo,
        redis,
        databases: AtomicU32::new(0),
        redis_databases: AtomicU32::new(0),
    }
}

impl Stores {
    /// The connection string of mongod.
    pub(crate) fn mongo_uri(&self) -> String {
        format!("mongodb://{}", self.mongo.address())
    }

    /// The address of one database of Redis.
    pub(crate) fn redis_url(&self, database: u32) -> String {
        format!("redis://{}/{database}", self.redis.address())
    }

    /// The name of a MongoDB database that no other test has.
    pub(crate) fn fresh_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("sentinel_test_{number}")
    }

    /// The number of a Redis database that no other test has.
    pub(crate) fn fresh_redis_db(&self) -> u32 {
        let number = self.redis_databases.fetch_add(1, Ordering::Relaxed);
        assert!(number < REDIS_DATABASES, "out of Redis databases");
        number
    }
}

/// Starts a Redis of its own, with further options. With a certificate among them it speaks TLS.
pub(crate) async fn start_redis(options: &[&str]) -> Server {
    let program = installed(REDIS_SERVER);
    let databases = REDIS_DATABASES.to_string();
    Server::start(|port, folder| {
        let mut command = vec![program.clone().into(), "--port".into()];
        if options.contains(&"--tls-cert-file") {
            command.extend(["0", "--tls-port"].map(OsString::from));
        }
        command.push(port.to_string().into());
        command.extend(["--bind", "127.0.0.1", "--dir"].map(OsString::from));
        command.push(folder.into());
        command.extend(["--save", "", "--appendonly", "no"].map(OsString::from));
        if options.contains(&"--cluster-enabled") {
            // The port above by 10,000 would be the default, if there is one.
            let nodes = free_port().to_string();
            command.extend(["--cluster-port".into(), OsString::from(nodes)]);
        } else {
            command.extend(["--databases".into(), OsString::from(&databases)]);
        }
        command.extend(options.iter().map(OsString::from));
        command
    })
    .await
}

/// Starts a mongod of its own, with further options.
pub(crate) async fn start_mongod(options: &[&str]) -> Server {
    let program = installed(MONGOD);
    Server::start(|port, folder| {
        let mut command = vec![program.clone().into(), "--port".into()];
        command.push(port.to_string().into());
        command.extend(["--bind_ip", "127.0.0.1", "--dbpath"].map(OsString::from));
        command.push(folder.into());
        command.push("--nounixsocket".into());
        if !options.contains(&CACHE_SIZE_GB) {
            command.extend([CACHE_SIZE_GB, "0.25"].map(OsString::from));
        }
        command.extend(options.iter().map(OsString::from));
        command
    })
    .await
}

/// Whether both programs are installed.
pub(crate) fn are_installed() -> bool {
    [REDIS_SERVER, MONGOD]
        .into_iter()
        .all(|p| find(p).is_some())
}

fn installed(program: (&str, &str)) -> PathBuf {
    let (variable, name) = program;
    find(program).unwrap_or_else(|| {
        panic!("{name} is not installed: run ./test, which fetches it, or set {variable} to it")
    })
}

/// Finds a program: named by a variable, on the search path, or where `./test` unpacks it.
fn find((variable, name): (&str, &str)) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let unpacked = cache_folder().map(|folder| folder.join("bin").join(name));
    on_path.chain(unpacked).find(|program| program.is_file())
}

fn cache_folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(folder.join("warp-sentinel"))
}

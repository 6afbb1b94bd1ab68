//! One real Redis and one real mongod per test binary, started on first use.
//!
//! Each test takes a MongoDB database and a Redis database of its own: the storage contract fixes
//! bare keys, so a prefix could not keep tests apart. `FLUSHALL` is therefore forbidden here.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

/// How many Redis databases there are; more than one binary has tests.
const REDIS_DATABASES: u32 = 4_096;
/// How long a server may take to listen, on a machine that is busy compiling.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Runs a server until this process has gone, however it ended: the system closes the pipe then.
/// The folder goes with it.
const WATCHER: &str = r#"
folder=$1; shift
"$@" >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
"#;

/// The running stores.
pub(crate) struct Stores {
    mongo: Server,
    redis: Server,
    databases: AtomicU32,
    redis_databases: AtomicU32,
}

/// A server that dies with this process, or earlier when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    watcher: Child,
}

/// The stores of this test binary.
pub(crate) async fn stores() -> &'static Stores {
    static STORES: OnceCell<Stores> = OnceCell::const_new();
    STORES.get_or_init(start).await
}

async fn start() -> Stores {
    let (mongo, redis) = tokio::join!(start_mongod(), start_redis(&[]));
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
        format!("mongodb://{}", self.mongo.address)
    }

    /// The address of one database of Redis.
    pub(crate) fn redis_url(&self, database: u32) -> String {
        format!("redis://{}/{database}", self.redis.address)
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

impl Server {
    /// Host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the program that `command` gives for a port and a folder, and waits until it
    /// listens. Another process may take the port in between; then another one is tried.
    async fn start(command: impl Fn(u16, &Path) -> Vec<OsString>) -> Self {
        let mut log = String::new();
        for _ in 0..3 {
            let folder = TempDir::with_prefix("sentinel-test-").unwrap().keep();
            let mut server = Self::spawn(&folder, &command);
            if server.listens().await {
                return server;
            }
            log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            server.stop();
        }
        panic!("a store did not start; its log:\n{log}");
    }

    fn spawn(folder: &Path, command: &impl Fn(u16, &Path) -> Vec<OsString>) -> Self {
        let address = free_address();
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher"])
            .arg(folder)
            .args(command(address.port(), folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { address, watcher }
    }

    async fn listens(&self) -> bool {
        let deadline = Instant::now() + START_WITHIN;
        while Instant::now() < deadline {
            if TcpStream::connect(self.address).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Kills the server at once.
    fn stop(&mut self) {
        drop(self.watcher.stdin.take());
        // A watcher that is gone already has nothing left to stop.
        let _ = self.watcher.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a Redis of its own, with further options.
pub(crate) async fn start_redis(options: &[&str]) -> Server {
    let program = find("SENTINEL_TEST_REDIS_SERVER", "redis-server");
    let databases = REDIS_DATABASES.to_string();
    Server::start(|port, folder| {
        let mut command = vec![program.clone().into(), "--port".into()];
        command.push(port.to_string().into());
        command.extend(["--bind", "127.0.0.1", "--dir"].map(OsString::from));
        command.push(folder.into());
        command.extend(["--save", "", "--appendonly", "no"].map(OsString::from));
        if !options.contains(&"--cluster-enabled") {
            command.extend(["--databases".into(), OsString::from(&databases)]);
        }
        command.extend(options.iter().map(OsString::from));
        command
    })
    .await
}

/// Starts a mongod of its own.
pub(crate) async fn start_mongod() -> Server {
    let program = find("SENTINEL_TEST_MONGOD", "mongod");
    Server::start(|port, folder| {
        let mut command = vec![program.clone().into(), "--port".into()];
        command.push(port.to_string().into());
        command.extend(["--bind_ip", "127.0.0.1", "--dbpath"].map(OsString::from));
        command.push(folder.into());
        command.extend(["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"].map(OsString::from));
        command
    })
    .await
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Finds a program: named by a variable, on the search path, or where `./test` unpacks it.
fn find(variable: &str, name: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let unpacked = cache_folder().map(|folder| folder.join("bin").join(name));
    let found = on_path.chain(unpacked).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not installed: run ./test, which fetches it, or set {variable} to it")
    })
}

fn cache_folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(folder.join("warp-sentinel"))
}

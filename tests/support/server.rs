//! A store of a test: a real server on a free port, that can be killed, stopped and started again
//! on the data it had, and that ends with this process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::iter::repeat_with;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long a server may take to listen, on a machine that is busy compiling.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Runs a server and does what it is told, until this process has gone, however it ended: the
/// system closes the pipe then. The folder goes with it.
const WATCHER: &str = r#"
folder=$1; shift
"$@" >>"$folder/log" 2>&1 &
server=$!
while read -r order; do
    case $order in
    start) "$@" >>"$folder/log" 2>&1 & server=$! ;;
    KILL) kill -9 "$server"; wait "$server" ;;
    *) kill -s "$order" "$server" ;;
    esac 2>/dev/null
    echo done
done
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
"#;

/// A server that dies with this process, or earlier when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    watcher: Child,
    replies: BufReader<ChildStdout>,
}

impl Server {
    /// Host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the program that `command` gives for a port and a folder, and waits until it
    /// listens. Another process may take the port in between; then another one is tried.
    pub(crate) async fn start(command: impl Fn(u16, &Path) -> Vec<OsString>) -> Self {
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

    /// Ends it as `kill -9` does; its data stay.
    pub(crate) fn kill(&mut self) {
        self.order("KILL");
    }

    /// Starts it again on its port and data, and waits until it listens.
    pub(crate) async fn restart(&mut self) {
        self.order("start");
        assert!(self.listens().await, "{} did not start again", self.address);
    }

    /// Sends a signal such as `STOP`, which holds it, and `CONT`, which lets it go on.
    pub(crate) fn signal(&mut self, name: &str) {
        self.order(name);
    }

    fn spawn(folder: &Path, command: &impl Fn(u16, &Path) -> Vec<OsString>) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher"])
            .arg(folder)
            .args(command(address.port(), folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let replies = BufReader::new(watcher.stdout.take().unwrap());
        Self {
            address,
            watcher,
            replies,
        }
    }

    fn order(&mut self, order: &str) {
        let orders = self.watcher.stdin.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
        let mut reply = String::new();
        self.replies.read_line(&mut reply).unwrap();
        assert_eq!(reply, "done\n", "{order}");
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

    fn stop(&mut self) {
        drop(self.watcher.stdin.take());
        // A watcher that is gone already has nothing left to stop.
        let _ = self.watcher.wait();
    }
}

/// A port that nobody listens on, and that this process has given to no other server: one that
/// was only told its port listens there later. It lies below those that the kernel gives to
/// connections (from 32768 on): none has it before its server does.
pub(crate) fn free_port() -> u16 {
    const PORTS: RangeInclusive<u16> = 10_000..=32_000;
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let drawn = || {
        let [low, high, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    };
    repeat_with(drawn)
        .filter(|port| PORTS.contains(port) && is_free(port))
        .find(|port| GIVEN.lock().unwrap().insert(*port))
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

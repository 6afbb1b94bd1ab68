//! A small balancer before two or more servers: it forwards connections as they are, new ones only
//! to servers whose `/readyz` says 200 (where none does, they wait), and tries no second server when
//! one refuses.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Client;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::process::{PATIENCE, PAUSE, https};

/// Between two looks at the readiness of a server: a tenth of the notice that servers give, as with
/// balancers that look each second or so and want more than one answer.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After this long without an answer a server is not ready.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// It ends when it is dropped.
pub(crate) struct Balancer {
    /// Where clients connect to.
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    servers: Vec<Server>,
    turn: AtomicUsize,
    refused: AtomicUsize,
}

struct Server {
    port: u16,
    is_ready: AtomicBool,
}

impl Balancer {
    /// A balancer before the servers on these ports of this machine.
    pub(crate) async fn before(ports: &[u16]) -> Self {
        let server = |port: &u16| Server {
            port: *port,
            is_ready: AtomicBool::new(false),
        };
        let shared = Arc::new(Shared {
            servers: ports.iter().map(server).collect(),
            turn: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        for index in 0..ports.len() {
            tasks.spawn(watch(index, Arc::clone(&shared)));
        }
        Self {
            port,
            shared,
            _tasks: tasks,
        }
    }

    /// Waits until it takes all servers for ready.
    pub(crate) async fn all_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shared.servers.iter().all(Server::is_ready) {
            assert!(Instant::now() < deadline, "a server does not become ready");
            sleep(PAUSE).await;
        }
    }

    /// Connections that no server took.
    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl Server {
    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// The ready servers by turns.
    fn next_ready(&self) -> Option<&Server> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let ready = || self.servers.iter().filter(|server| server.is_ready());
        ready().nth(turn % ready().count().max(1))
    }
}

async fn watch(index: usize, shared: Arc<Shared>) {
    let server = &shared.servers[index];
    let url = format!("https://localhost:{}/readyz", server.port);
    // Used, it would be one more connection that is kept.
    let looks: Client = https();
    loop {
        let look = looks.get(&url).header("connection", "close");
        let answer = look.timeout(LOOK_LIMIT).send().await;
        let is_ready = answer.is_ok_and(|answer| answer.status() == 200);
        server.is_ready.store(is_ready, Ordering::Relaxed);
        sleep(LOOK_EVERY).await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        connections.spawn(forward(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, shared: Arc<Shared>) {
    // A machine that is too busy for a look in time leaves none ready for a moment.
    let server = loop {
        match shared.next_ready() {
            Some(server) => break server,
            None => sleep(PAUSE).await,
        }
    };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).await;
    let Ok(mut server) = server else {
        shared.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    // How it ended is seen by both ends.
    let _ended = copy_bidirectional(&mut client, &mut server).await;
}

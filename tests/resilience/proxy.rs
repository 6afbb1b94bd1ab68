//! A fault proxy: a TCP forwarder that can cut, refuse, delay and swallow what goes through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They go through.
    Open,
    /// They go through, but later.
    Slow(Duration),
    /// Connections end, and new ones end at once.
    Cut,
    /// They are held back, those of new connections too, and go on when it opens again.
    Hole,
}

/// What holds now.
#[derive(Clone, Copy, Debug)]
struct Rule {
    mode: Mode,
    /// What goes over a connection that is older is lost, whatever the mode.
    forgotten_before: Option<Instant>,
}

/// A forwarder to one server. It ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    rule: watch::Sender<Rule>,
    _forwarders: JoinSet<()>,
}

impl Proxy {
    /// A forwarder to `server`, open.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (rule, watched) = watch::channel(Rule {
            mode: Mode::Open,
            forgotten_before: None,
        });
        let mut forwarders = JoinSet::new();
        forwarders.spawn(accept(listener, server, watched));
        Self {
            address,
            rule,
            _forwarders: forwarders,
        }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets bytes through.
    pub(crate) fn open(&self) {
        self.set(Mode::Open);
    }

    /// Ends all connections, and each new one at once, as a server that is gone.
    pub(crate) fn cut(&self) {
        self.set(Mode::Cut);
    }

    /// Holds all bytes back, as a network that lost its way.
    pub(crate) fn hole(&self) {
        self.set(Mode::Hole);
    }

    /// Passes bytes on this much later, in each direction.
    pub(crate) fn slow(&self, delay: Duration) {
        self.set(Mode::Slow(delay));
    }

    /// Lets the present connections be silent for ever and never end, as a firewall that forgot
    /// them; new ones go through.
    pub(crate) fn forget_connections(&self) {
        self.rule
            .send_modify(|rule| rule.forgotten_before = Some(Instant::now()));
    }

    /// Lets go on what was held back on the connections that it had forgotten.
    pub(crate) fn remember_connections(&self) {
        self.rule.send_modify(|rule| rule.forgotten_before = None);
    }

    fn set(&self, mode: Mode) {
        self.rule.send_modify(|rule| rule.mode = mode);
    }
}

/// A connection as the rules see it.
#[derive(Clone)]
struct Passage {
    began: Instant,
    rule: watch::Receiver<Rule>,
}

impl Passage {
    /// Waits until bytes may go through; none when they never will.
    async fn opens(&mut self) -> Option<()> {
        let began = self.began;
        let is_open = |rule: &Rule| {
            let is_forgotten = rule.forgotten_before.is_some_and(|before| began < before);
            !is_forgotten && matches!(rule.mode, Mode::Open | Mode::Slow(_))
        };
        let rule = *self.rule.wait_for(is_open).await.ok()?;
        if let Mode::Slow(delay) = rule.mode {
            tokio::time::sleep(delay).await;
        }
        Some(())
    }

    async fn is_cut(&mut self) {
        let _proxy_gone = self.rule.wait_for(|rule| rule.mode == Mode::Cut).await;
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, rule: watch::Receiver<Rule>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let passage = Passage {
            began: Instant::now(),
            rule: rule.clone(),
        };
        connections.spawn(connection(client, server, passage));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, server: SocketAddr, mut passage: Passage) {
    if passage.rule.borrow().mode == Mode::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (passage.clone(), passage.clone());
    tokio::select! {
        () = passage.is_cut() => {}
        () = forward(from_client, to_server, there) => {}
        () = forward(from_server, to_client, back) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut passage: Passage) {
    let mut bytes = vec![0; 64 * 1_024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if passage.opens().await.is_none() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

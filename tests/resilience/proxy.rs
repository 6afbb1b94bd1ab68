//! A fault proxy: a TCP forwarder that can cut, refuse and swallow what goes through it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They go through.
    Open,
    /// Connections end, and new ones end at once.
    Cut,
    /// They are held back, those of new connections too, and go on when it opens again.
    Hole,
}

/// A forwarder to one server. It ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    _forwarders: JoinSet<()>,
}

impl Proxy {
    /// A forwarder to `server`, open.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, watched) = watch::channel(Mode::Open);
        let mut forwarders = JoinSet::new();
        forwarders.spawn(accept(listener, server, watched));
        Self {
            address,
            mode,
            _forwarders: forwarders,
        }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets bytes through.
    pub(crate) fn open(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// Ends all connections, and each new one at once, as a server that is gone.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Holds all bytes back, as a network that lost its way.
    pub(crate) fn hole(&self) {
        self.mode.send_replace(Mode::Hole);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        connections.spawn(connection(client, server, mode.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow() == Mode::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let modes = mode.clone();
    let cut = async {
        let _proxy_gone = mode.wait_for(|mode| *mode == Mode::Cut).await;
    };
    tokio::select! {
        () = cut => {}
        () = forward(from_client, to_server, modes.clone()) => {}
        () = forward(from_server, to_client, modes) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut bytes = vec![0; 64 * 1_024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if mode.wait_for(|mode| *mode == Mode::Open).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

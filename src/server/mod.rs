//! The listener, TLS, the accept loop and the graceful drain.
//!
//! Serves any tower service over HTTP/1.1 and HTTP/2 and puts a deadline on every wait for a peer.
//! What does not live here: anything of OAuth, warp's filters, the choice of answers beyond those
//! that HTTP itself demands.

pub mod accept;
pub mod adhoc;
pub mod body;
mod connection;
mod exchange;
pub mod limits;
pub mod listener;
mod parked;
mod pulse;
mod request_head;
pub mod tls;
mod transport;
pub mod turns;
mod watchdog;

#[cfg(test)]
mod testing;

use std::net::SocketAddr;

use tokio::sync::watch;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection is encrypted by us.
    pub is_tls: bool,
}

/// How far the end of a server has come. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nobody has told it to stop.
    Open,
    /// It will stop: connections are still taken, but HTTP/1.1 peers hear that they should connect
    /// anew, which leads them elsewhere.
    Notice,
    /// No more connections are taken.
    Closing,
}

/// Ready when the end has come as far as `stage`. Without its sender the server is gone, which is
/// a stop as well.
async fn reached(stages: &mut watch::Receiver<Stage>, stage: Stage) {
    let _server_gone = stages.wait_for(|present| *present >= stage).await;
}

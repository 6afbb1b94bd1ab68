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
mod pulse;
mod request_head;
pub mod tls;
mod transport;

#[cfg(test)]
mod testing;

use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection is encrypted by us.
    pub is_tls: bool,
}

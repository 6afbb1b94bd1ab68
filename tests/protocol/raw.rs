//! Requests as bytes, for what no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::app::{TestApp, spawn_app_with};

/// Longer than any deadline that these tests run into; what takes this long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// More bytes than any server should take of what it has refused.
const ENDLESS: usize = 64 * 1_024 * 1_024;

/// What came back over one connection.
#[derive(Debug)]
pub(crate) struct Bytes {
    /// All of it, as text.
    pub(crate) text: String,
    /// Whether the server closed the connection.
    pub(crate) is_closed: bool,
}

impl Bytes {
    /// The status of the first answer; zero without one.
    pub(crate) fn status(&self) -> u16 {
        let status = self.text.strip_prefix("HTTP/1.1 ");
        let status = status.or_else(|| self.text.strip_prefix("HTTP/1.0 "));
        status
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_default()
    }

    /// How many answers came.
    pub(crate) fn answers(&self) -> usize {
        self.text.matches("HTTP/1.").count()
    }

    /// `Ok` when the first answer has this status, is the only one, and the connection is closed.
    pub(crate) fn is_refusal(&self, status: u16) -> Result<(), String> {
        if self.status() == status && self.answers() == 1 && self.is_closed {
            Ok(())
        } else {
            Err(format!("expected {status} and the end, got {self:?}"))
        }
    }
}

/// A server without TLS.
pub(crate) async fn spawn_plain_app() -> TestApp {
    spawn_app_with(&[("SENTINEL_TLS", "off")]).await
}

/// The address of a server.
pub(crate) fn address(app: &TestApp) -> SocketAddr {
    let port = app.url.rsplit(':').next().unwrap().parse().unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A connection to a server.
pub(crate) async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(address(app)).await.unwrap()
}

/// Sends bytes over a new connection and reads until the server closes it.
pub(crate) async fn exchange(app: &TestApp, request: impl AsRef<[u8]>) -> Bytes {
    let (mut from_server, mut to_server) = tokio::io::split(connect(app).await);
    // Both at once: a server that refuses early may close before the last byte is out.
    let (_, answer) = tokio::join!(
        to_server.write_all(request.as_ref()),
        read_all(&mut from_server)
    );
    answer
}

/// Reads until the server closes, or has said nothing for too long.
pub(crate) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Bytes {
    let mut read = Vec::new();
    // A reset is an end as well; what came before it counts.
    let end = timeout(PATIENCE, stream.read_to_end(&mut read)).await;
    Bytes {
        text: String::from_utf8_lossy(&read).into_owned(),
        is_closed: end.is_ok(),
    }
}

/// Sends a head, and then the same piece until the server closes; tells how much it took.
pub(crate) async fn pour(app: &TestApp, head: &str, piece: &[u8]) -> (usize, Bytes) {
    let (mut from_server, mut to_server) = tokio::io::split(connect(app).await);
    to_server.write_all(head.as_bytes()).await.unwrap();
    let pouring = async {
        let mut taken = 0;
        while taken < ENDLESS && to_server.write_all(piece).await.is_ok() {
            taken += piece.len();
        }
        taken
    };
    tokio::join!(pouring, read_all(&mut from_server))
}

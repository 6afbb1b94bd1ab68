//! A server and its clients for this room's tests: real sockets, short limits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::Peer;
use super::accept::{Drained, Server};
use super::adhoc;
use super::limits::Limits;
use super::listener::Listener;
use super::tls::Loaded;
use crate::clock::Clock;
use crate::settings::ListenAddress;

/// Longer than any limit of a test; whatever takes this long hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The deadline that a test means to run into.
pub(super) const SHORT: Duration = Duration::from_millis(150);

/// A server that runs until it is stopped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<Duration>>,
    ended: JoinHandle<Drained>,
}

/// Limits that no test runs into by accident.
pub(super) fn patient() -> Limits {
    Limits {
        farewell: Duration::from_millis(50),
        ..Limits::default()
    }
}

/// A folder with an ad-hoc pair, and the pair loaded.
pub(super) fn ad_hoc() -> (TempDir, Loaded) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let files = adhoc::ensure(folder.path(), &clock).unwrap();
    let loaded = Loaded::from_files(&files.certificate, &files.key, None, &clock).unwrap();
    (folder, loaded)
}

/// Serves a few routes on a port of the system's choice.
pub(super) async fn start(limits: Limits, tls: Option<Loaded>) -> Running {
    let anywhere = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(&anywhere).await.unwrap();
    let ListenAddress::Tcp(address) = listener.local_address().unwrap() else {
        panic!("a TCP listener has a TCP address");
    };
    let server = Server {
        listener,
        tls: tls.map(|loaded| loaded.certificates),
        limits,
    };
    let (stop, stopped) = oneshot::channel();
    let make_service = |peer: Peer| warp::service(routes(peer));
    let shutdown = async move { stopped.await.unwrap_or_default() };
    #[expect(clippy::disallowed_methods, reason = "the test owns the server's task")]
    let ended = tokio::spawn(server.serve(make_service, shutdown));
    Running {
        address,
        stop: Some(stop),
        ended,
    }
}

impl Running {
    /// Tells the server to stop at once and goes on.
    pub(super) fn tell_to_stop(&mut self) {
        self.tell_to_stop_in(Duration::ZERO);
    }

    /// Tells the server to stop, with notice, and goes on.
    pub(super) fn tell_to_stop_in(&mut self, notice: Duration) {
        self.stop.take().unwrap().send(notice).unwrap();
    }

    /// Waits until the server has returned.
    pub(super) async fn ended(self) -> Drained {
        timeout(PATIENCE, self.ended).await.unwrap().unwrap()
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    pub(super) async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_to_end(&mut stream).await
    }
}

/// What is left until the peer closes, as text.
pub(super) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    // A reset is an end as well; what came before it counts.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text))
        .await
        .expect("the server closes in time");
    String::from_utf8_lossy(&text).into_owned()
}

/// What came by the time that `end` did.
pub(super) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&text).contains(end) {
            let byte = stream.read_u8().await.expect("the answer comes whole");
            text.push(byte);
        }
    };
    timeout(PATIENCE, reading)
        .await
        .expect("the server answers in time");
    String::from_utf8_lossy(&text).into_owned()
}

/// Trusts the certificate of a file, and speaks all versions.
pub(super) fn client_config(certificate: &Path, alpn: &[&str]) -> ClientConfig {
    client_config_of(certificate, alpn, rustls::ALL_VERSIONS)
}

/// Trusts the certificate of a file, and speaks some versions.
pub(super) fn client_config_of(
    certificate: &Path,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A handshake for `localhost`.
pub(super) async fn handshake(
    stream: TcpStream,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(PATIENCE, handshake)
        .await
        .expect("the handshake ends in time")
}

/// `/peer`, `/echo`, `/slow`, `/panic`, `/ignore` and `/large`.
fn routes(peer: Peer) -> warp::filters::BoxedFilter<(Response,)> {
    let peer = warp::path("peer").map(move || text(format!("{peer:?}")));
    let echo = warp::path("echo")
        .and(warp::body::bytes())
        .map(|bytes: bytes::Bytes| text(format!("{} bytes", bytes.len())));
    let slow = warp::path("slow").then(|| async {
        tokio::time::sleep(SHORT).await;
        text("slow but whole".to_owned())
    });
    let panic = warp::path("panic").map(|| -> Response { panic!("the test asks for it") });
    let ignore = warp::path("ignore").map(|| text("too much".to_owned()));
    let large = warp::path("large").map(|| text("x".repeat(64 * 1024 * 1024)));
    let found = peer.or(echo).unify().or(slow).unify().or(panic).unify();
    found
        .or(ignore)
        .unify()
        .or(large)
        .unify()
        .recover(refuse)
        .unify()
        .boxed()
}

fn text(body: String) -> Response {
    Response::new(body.into())
}

async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    let mut response = text(String::new());
    *response.status_mut() = if rejection.is_not_found() {
        warp::http::StatusCode::NOT_FOUND
    } else {
        warp::http::StatusCode::BAD_REQUEST
    };
    Ok(response)
}

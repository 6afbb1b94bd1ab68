//! The floor of new connections: tokio-rustls and hyper with the server's certificate, versions and
//! session tickets, and nothing else of the server.

use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use warp_sentinel::clock::Clock;
use warp_sentinel::server::adhoc;
use warp_sentinel::settings::ListenAddress;

use super::Outcome;
use super::server::{announce, end_of_input};

/// Serves until the standard input ends, with a certificate in this folder.
///
/// # Errors
/// Why it does not start, or accepts no more.
pub(crate) async fn serve(folder: &Path) -> Outcome<()> {
    let acceptor = TlsAcceptor::from(Arc::new(config(folder)?));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(&ListenAddress::Tcp(listener.local_addr()?), "")?;
    let mut connections = JoinSet::new();
    let mut end = pin!(end_of_input());
    loop {
        tokio::select! {
            () = &mut end => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let acceptor = acceptor.clone();
                // What goes wrong is told by the client, which then has no answer.
                connections.spawn(async move { converse(stream, acceptor).await.ok() });
            }
        }
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(answer);
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

/// What the server answers to `GET /healthz`.
async fn answer(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = Response::new(Full::from(r#"{"status":"alive"}"#));
    let headers = answer.headers_mut();
    let value = HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, value("application/json"));
    headers.insert(CACHE_CONTROL, value("no-store"));
    headers.insert(PRAGMA, value("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, value("nosniff"));
    Ok(answer)
}

fn config(folder: &Path) -> Outcome<ServerConfig> {
    let files = adhoc::ensure(folder, &Clock::default())?;
    let chain = CertificateDer::pem_file_iter(&files.certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&files.key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

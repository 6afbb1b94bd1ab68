//! How a client comes to a connection: TCP, TLS, HTTP/1.1 on either.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion, WantsVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Outcome;

/// The client's side of these versions of TLS, but for whom it trusts.
///
/// # Errors
/// What TLS says.
pub(crate) fn tls_client(
    versions: &[&'static SupportedProtocolVersion],
) -> Outcome<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?)
}

/// A client that trusts the certificates of a PEM file alone.
///
/// # Errors
/// A file that cannot be read, or holds none.
pub(crate) fn trusting(
    pem: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> Outcome<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(pem)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate", pem.display()).into());
    }
    Ok(tls_client(versions)?.with_root_certificates(roots))
}

/// A TCP connection that sends at once.
///
/// # Errors
/// What TCP says.
pub(crate) async fn tcp(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// TLS on `stream`, with the server of this name.
///
/// # Errors
/// What TLS says.
pub(crate) async fn tls(
    stream: TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> Outcome<TlsStream<TcpStream>> {
    Ok(TlsConnector::from(config).connect(name, stream).await?)
}

/// HTTP/1.1 on `stream`. The connection lasts as long as the set of tasks does.
///
/// # Errors
/// What HTTP says.
pub(crate) async fn http1<S>(stream: S) -> Outcome<(SendRequest<Full<Bytes>>, JoinSet<()>)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Its error is that of the request under way as well.
        let _ = connection.await;
    });
    Ok((sender, driver))
}

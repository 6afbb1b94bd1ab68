//! Certificates of tests, and connections that trust one of them and offer one protocol.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::process::{Place, install_tls};

/// A certificate for `localhost` and its key.
pub(crate) type Pair = CertifiedKey<KeyPair>;

/// A pair that is valid now.
pub(crate) fn make_pair() -> Pair {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// A pair that is valid between these.
pub(crate) fn make_pair_valid(not_before: OffsetDateTime, not_after: OffsetDateTime) -> Pair {
    let signing_key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_before = not_before;
    parameters.not_after = not_after;
    let cert = parameters.self_signed(&signing_key).unwrap();
    CertifiedKey { cert, signing_key }
}

/// Writes them as `certs/cert.pem` and `certs/key.pem`.
pub(crate) fn write_pair(place: &Place, certificate: &Pair, key: &Pair) {
    place.write("certs/cert.pem", certificate.cert.pem());
    place.write("certs/key.pem", key.signing_key.serialize_pem());
}

/// Trusts these alone, and offers one protocol: `h2` or `http/1.1`.
pub(crate) fn client_config<'a>(
    pairs: impl IntoIterator<Item = &'a Pair>,
    protocol: &str,
) -> Arc<ClientConfig> {
    install_tls();
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(pair.cert.der().clone()).unwrap();
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

/// A connection to a port of this machine.
pub(crate) async fn connect(
    port: u16,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

//! Bad certificates, keys and handshakes (RFC 5246, RFC 8446).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tempfile::TempDir;
use time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use warp_sentinel::Sentinel;
use warp_sentinel::clock::Clock;
use warp_sentinel::server::tls::Loaded;
use warp_sentinel::telemetry::chain::Chain;

use crate::raw::{PATIENCE, connect, exchange, read_all, spawn_plain_app};
use crate::rows::check_each;
use crate::support::app::{TestApp, load, spawn_app_with};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../src/server/tls/fixtures/", $name))
    };
}

/// A pair of PEM files in a folder of their own.
pub(crate) struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    _folder: TempDir,
}

/// A server with a pair that the test knows.
pub(crate) async fn spawn_app_with_pair() -> (TestApp, Pair) {
    let pair = Pair::fresh();
    let (certificate, key) = pair.names();
    let app = spawn_app_with(&[
        ("SENTINEL_TLS", "on"),
        ("SENTINEL_TLS_CERT", certificate),
        ("SENTINEL_TLS_KEY", key),
    ])
    .await;
    (app, pair)
}

impl Pair {
    /// A pair as it is written, the key for its owner alone.
    fn write(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let folder = TempDir::with_prefix("sentinel-pair-").unwrap();
        let pair = Self {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            _folder: folder,
        };
        pair.put(certificate, key);
        pair
    }

    /// A self-signed pair for `localhost`, valid now.
    fn fresh() -> Self {
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["localhost".to_owned()]);
        let certificate = names.unwrap().self_signed(&key).unwrap();
        Self::write(certificate.pem(), key.serialize_pem())
    }

    /// Writes both files anew.
    fn put(&self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) {
        fs::write(&self.certificate, certificate).unwrap();
        fs::write(&self.key, key).unwrap();
        fs::set_permissions(&self.key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn names(&self) -> (&str, &str) {
        let (certificate, key) = (self.certificate.to_str(), self.key.to_str());
        (certificate.unwrap(), key.unwrap())
    }

    /// Trusts its certificate.
    fn client(&self, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(&self.certificate).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A connection to a server that has this pair.
    pub(crate) async fn open(
        &self,
        app: &TestApp,
        alpn: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        handshake(app, Arc::new(self.client(alpn)), "localhost").await
    }
}

/// A handshake over a new connection.
async fn handshake(
    app: &TestApp,
    config: Arc<ClientConfig>,
    name: &'static str,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name).unwrap();
    let handshake = TlsConnector::from(config).connect(name, connect(app).await);
    timeout(PATIENCE, handshake).await.unwrap()
}

/// What cannot serve ends the start with a message that names the file and holds no key.
#[tokio::test]
async fn files_that_are_no_pair_are_refused_at_start() {
    let good = Pair::fresh();
    let certificate = &fs::read_to_string(&good.certificate).unwrap();
    let key = &fs::read_to_string(&good.key).unwrap();
    let other = &fs::read_to_string(Pair::fresh().key).unwrap();
    let half = &key[..key.len() / 2];
    let rows = [
        ("L1 an empty certificate", "cert.pem", "", key.as_str()),
        ("L1 an empty key", "key.pem", certificate, ""),
        ("L1 garbage", "cert.pem", "hello", key),
        ("L1 a key of garbage", "key.pem", certificate, "hello"),
        ("L1 half a key", "key.pem", certificate, half),
        ("L1 swapped", "cert.pem", key, certificate),
        ("L1 two certificates", "key.pem", certificate, certificate),
        ("L2 another's key", "key.pem", certificate, other),
    ];
    let mut outcomes = Vec::new();
    for (name, file, certificate, key) in rows {
        let pair = Pair::write(certificate, key);
        outcomes.push((name, is_refused(&pair, file, key).await));
    }
    let der = CertificateDer::from_pem_file(&good.certificate).unwrap();
    let pair = Pair::write(&der, key);
    outcomes.push(("L1 DER", is_refused(&pair, "cert.pem", key).await));
    let pair = Pair::write(certificate, &der);
    outcomes.push(("L1 a key of DER", is_refused(&pair, "key.pem", key).await));
    let pair = Pair::write(certificate, key);
    fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o644)).unwrap();
    outcomes.push(("L6 open to all", is_refused(&pair, "key.pem", key).await));
    fs::remove_file(&pair.certificate).unwrap();
    outcomes.push(("L1 missing", is_refused(&pair, "cert.pem", key).await));
    check_each(&outcomes);
}

/// NIST SP 800-131A; CVE-2023-37260.
#[tokio::test]
async fn weak_and_encrypted_pairs_are_refused_at_start() {
    let rsa = fixture!("rsa-cert.pem");
    let rows = [
        (
            "L3 encrypted",
            "key.pem",
            rsa,
            fixture!("rsa-pkcs8-encrypted-key.pem"),
        ),
        (
            "L3 encrypted, PKCS#1",
            "key.pem",
            rsa,
            fixture!("rsa-pkcs1-encrypted-key.pem"),
        ),
        (
            "L7 RSA of 1,024 bits",
            "cert.pem",
            fixture!("rsa-1024-cert.pem"),
            fixture!("rsa-1024-key.pem"),
        ),
        (
            "L7 SHA-1",
            "cert.pem",
            fixture!("rsa-sha1-cert.pem"),
            fixture!("rsa-pkcs8-key.pem"),
        ),
        (
            "L7 the curve P-521",
            "key.pem",
            fixture!("ec-p521-cert.pem"),
            fixture!("ec-p521-key.pem"),
        ),
    ];
    let mut outcomes = Vec::new();
    for (name, file, certificate, key) in rows {
        let pair = Pair::write(certificate, key);
        outcomes.push((name, is_refused(&pair, file, key).await));
    }
    check_each(&outcomes);
}

async fn is_refused(pair: &Pair, file: &str, key: &str) -> Result<(), String> {
    let (certificate, key_name) = pair.names();
    let settings = load(&[
        ("SENTINEL_TLS", "on".to_owned()),
        ("SENTINEL_TLS_CERT", certificate.to_owned()),
        ("SENTINEL_TLS_KEY", key_name.to_owned()),
    ]);
    let Err(error) = Sentinel::start(settings).await else {
        return Err("it started".to_owned());
    };
    let message = format!("{error}: {error:?}");
    let mut secrets = key
        .lines()
        .filter(|line| line.len() > 20 && !line.contains("-----"));
    let is_told = Chain(&error).to_string().contains(file) && error.exit_code() == 78;
    let is_safe = !secrets.any(|line| message.contains(line));
    (is_told && is_safe).then_some(()).ok_or(message)
}

/// What clients will refuse is told, and serves.
#[tokio::test]
async fn a_pair_that_clients_will_refuse_serves_with_a_warning() {
    let pair = Pair::fresh();
    let mut outcomes = Vec::new();
    let past = Clock::default();
    past.advance(Duration::days(-400 * 365));
    let future = Clock::default();
    future.advance(Duration::days(4_000 * 365));
    let now = Clock::default();
    for (name, host, clock, wanted) in [
        ("L4 not yet valid", "localhost", &past, "valid only from"),
        ("L4 expired", "localhost", &future, "expired"),
        (
            "L4 another host",
            "login.example.org",
            &now,
            "is not for login.example.org",
        ),
    ] {
        let loaded = Loaded::from_files(&pair.certificate, &pair.key, Some(host), clock).unwrap();
        let is_told = matches!(loaded.warnings.as_slice(), [one] if one.contains(wanted));
        outcomes.push((name, is_told.then_some(()).ok_or(format!("{loaded:?}"))));
    }
    check_each(&outcomes);
}

/// A reload is for new handshakes, and what is bad never replaces what is good.
#[tokio::test]
async fn a_pair_replaced_while_running_serves_once_it_is_whole() {
    let (app, pair) = spawn_app_with_pair().await;
    let old = Arc::new(pair.client(&[]));
    let next = Pair::fresh();
    let new = Arc::new(next.client(&[]));
    let read = |path: &PathBuf| fs::read(path).unwrap();
    let (certificate, key) = (read(&next.certificate), read(&next.key));
    let (old_certificate, old_key) = (read(&pair.certificate), read(&pair.key));
    let half = key[..key.len() / 2].to_vec();
    let mut outcomes = Vec::new();
    for (name, certificate, key, serves_new) in [
        ("L8 only the certificate", &certificate, &old_key, false),
        ("L8 only the key", &old_certificate, &key, false),
        ("L8 half a key", &certificate, &half, false),
        ("L8 both", &certificate, &key, true),
        ("L8 rolled back", &old_certificate, &old_key, false),
    ] {
        pair.put(certificate, key);
        app.sentinel.reload();
        let is_old = handshake(&app, Arc::clone(&old), "localhost").await.is_ok();
        let is_new = handshake(&app, Arc::clone(&new), "localhost").await.is_ok();
        let is_right = (is_old, is_new) == (!serves_new, serves_new);
        let got = format!("old {is_old}, new {is_new}");
        outcomes.push((name, is_right.then_some(()).ok_or(got)));
    }
    check_each(&outcomes);
}

/// RFC 8446 §4.1.2, appendix D.5; RFC 6066 §3; RFC 8996.
#[tokio::test]
async fn a_hello_that_cannot_be_served_gets_an_alert() {
    let (app, _pair) = spawn_app_with_pair().await;
    let modern = [0xc0, 0x2b];
    let rows = [
        ("L9 TLS 1.0", client_hello([3, 1], modern), ALERT),
        ("L9 TLS 1.1", client_hello([3, 2], modern), ALERT),
        ("L9 SSL 3.0", client_hello([3, 0], modern), ALERT),
        (
            "L9 no common cipher",
            client_hello([3, 3], [0x00, 0x05]),
            ALERT,
        ),
        ("L9 no name", client_hello([3, 3], modern), HANDSHAKE),
        (
            "L10 plain HTTP",
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            ALERT,
        ),
        ("L9 garbage", vec![0xff; 300], ALERT),
    ];
    let mut outcomes = Vec::new();
    for (name, hello, kind) in rows {
        let whole = first_byte(&app, &[&hello]).await;
        let pieces: Vec<&[u8]> = hello.chunks(1).take(600).collect();
        let fragmented = first_byte(&app, &pieces).await;
        let is_right = whole == Some(kind) && fragmented == Some(kind);
        let got = format!("{whole:?}, fragmented {fragmented:?}");
        outcomes.push((name, is_right.then_some(()).ok_or(got)));
    }
    check_each(&outcomes);
}

/// Whatever name is asked for, the one certificate answers.
#[tokio::test]
async fn an_unknown_name_gets_the_certificate_all_the_same() {
    let (app, pair) = spawn_app_with_pair().await;
    let config = Arc::new(pair.client(&[]));
    let error = handshake(&app, config, "elsewhere.example")
        .await
        .unwrap_err();
    // The client refuses, for it has seen the certificate; the server does not.
    assert!(
        format!("{error:?}").contains("NotValidForName"),
        "L9: {error:?}"
    );
}

/// A peer that speaks TLS where none is spoken.
#[tokio::test]
async fn tls_on_the_plain_port_is_refused_with_the_connection() {
    let app = spawn_plain_app().await;
    let hello = client_hello([3, 3], [0xc0, 0x2b]);
    let answer = exchange(&app, hello).await;
    assert!(answer.is_closed, "L10: {answer:?}");
    assert!(matches!(answer.status(), 0 | 400), "L10: {answer:?}");
}

/// RFC 8446 §2.3, §8: neither early data nor a ticket of another server is taken.
#[tokio::test]
async fn early_data_is_not_offered_and_tickets_do_not_outlive_the_server() {
    let (app, pair) = spawn_app_with_pair().await;
    let mut config = pair.client(&[]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = handshake(&app, Arc::clone(&config), "localhost")
            .await
            .unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // The ticket comes with the answer.
        read_all(&mut stream).await;
        kinds.push(stream.get_ref().1.handshake_kind());
        assert!(
            !stream.get_ref().1.is_early_data_accepted(),
            "L11 early data"
        );
    }
    let resumed = Some(HandshakeKind::Resumed);
    assert_eq!(kinds, [Some(HandshakeKind::Full), resumed]);
    let (certificate, key) = pair.names();
    let restarted = spawn_app_with(&[
        ("SENTINEL_TLS", "on"),
        ("SENTINEL_TLS_CERT", certificate),
        ("SENTINEL_TLS_KEY", key),
    ])
    .await;
    let stream = handshake(&restarted, config, "localhost").await.unwrap();
    assert_ne!(stream.get_ref().1.handshake_kind(), resumed, "L11 tickets");
}

/// The record types of an alert and of a handshake (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// A hello of TLS 1.2 or older: one suite, the groups and signatures of its time, no name.
fn client_hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let master_secret = [0, 23, 0, 0];
    let extensions = [groups.as_slice(), &signatures, &master_secret].concat();
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2]);
    body.extend(suite);
    body.extend([1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let message = [&[1, 0, 0, length], body.as_slice()].concat();
    let length = u8::try_from(message.len()).unwrap();
    [&[HANDSHAKE, 3, 1, 0, length], message.as_slice()].concat()
}

/// The first byte of the answer to these pieces.
async fn first_byte(app: &TestApp, pieces: &[&[u8]]) -> Option<u8> {
    let mut stream = connect(app).await;
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    timeout(PATIENCE, stream.read_u8()).await.unwrap().ok()
}

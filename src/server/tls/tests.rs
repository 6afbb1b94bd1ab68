use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::version::TLS12;
use rustls::{HandshakeKind, ProtocolVersion};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::io::AsyncWriteExt;

use super::Loaded;
use super::error::TlsError;
use crate::clock::Clock;
use crate::server::testing::{
    client_config, client_config_of, handshake, patient, read_until, start,
};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name))
    };
}

const EC_CERT: &str = fixture!("ec-cert.pem");
const EC_KEY: &str = fixture!("ec-sec1-key.pem");
const RSA_CERT: &str = fixture!("rsa-cert.pem");
const RSA_KEY: &str = fixture!("rsa-pkcs8-key.pem");

/// A pair of files in a folder of its own.
struct Pair {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn write(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Self {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            _folder: folder,
        };
        fs::write(&pair.certificate, certificate).unwrap();
        fs::write(&pair.key, key).unwrap();
        pair.set_key_mode(0o600);
        pair
    }

    /// A self-signed pair for `localhost`, valid now.
    fn fresh() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        Self::write(certificate.pem(), key.serialize_pem())
    }

    fn set_key_mode(&self, mode: u32) {
        fs::set_permissions(&self.key, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        Loaded::from_files(&self.certificate, &self.key, None, &Clock::default())
    }
}

fn der(pem: &str) -> Vec<u8> {
    match rustls_pemfile::read_one(&mut pem.as_bytes()).unwrap() {
        Some(rustls_pemfile::Item::X509Certificate(certificate)) => certificate.to_vec(),
        Some(rustls_pemfile::Item::Pkcs8Key(key)) => key.secret_pkcs8_der().to_vec(),
        other => panic!("not a fixture for this: {other:?}"),
    }
}

#[test]
fn every_form_of_key_is_read() {
    for (name, certificate, key) in [
        ("PKCS#8", RSA_CERT, RSA_KEY),
        ("PKCS#1", RSA_CERT, fixture!("rsa-pkcs1-key.pem")),
        ("SEC1", EC_CERT, EC_KEY),
    ] {
        let loaded = Pair::write(certificate, key).load();
        assert!(loaded.is_ok(), "{name}: {loaded:?}");
    }
}

type Row = (&'static str, Vec<u8>, Vec<u8>, fn(&TlsError) -> bool);

fn row(name: &'static str, certificate: &str, key: &str, is_it: fn(&TlsError) -> bool) -> Row {
    (name, certificate.into(), key.into(), is_it)
}

/// Files that are not what their names say.
fn bad_files() -> Vec<Row> {
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let damaged = EC_CERT.replace("MII", "MIA");
    vec![
        row("empty certificate", "", EC_KEY, |e| {
            matches!(e, TlsError::Empty(_))
        }),
        row("empty key", EC_CERT, "\n", |e| {
            matches!(e, TlsError::Empty(_))
        }),
        row("garbage", "hello", EC_KEY, |e| {
            matches!(e, TlsError::Garbage(_))
        }),
        row("garbage key", EC_CERT, "hello", |e| {
            matches!(e, TlsError::Garbage(_))
        }),
        row("half a certificate", &half(EC_CERT), EC_KEY, |e| {
            matches!(e, TlsError::Garbage(_) | TlsError::Useless(_))
        }),
        row("half a key", EC_CERT, &half(EC_KEY), |e| {
            matches!(e, TlsError::Garbage(_) | TlsError::Useless(_))
        }),
        row("damaged certificate", &damaged, EC_KEY, |e| {
            matches!(e, TlsError::BadCertificate { number: 1, .. })
        }),
        ("DER certificate", der(RSA_CERT), EC_KEY.into(), |e| {
            matches!(e, TlsError::Der(_))
        }),
        ("DER key", RSA_CERT.into(), der(RSA_KEY), |e| {
            matches!(e, TlsError::Der(_))
        }),
        row("swapped", EC_KEY, EC_CERT, |e| {
            matches!(e, TlsError::KeyAsCertificate(_))
        }),
        row("certificate twice", EC_CERT, EC_CERT, |e| {
            matches!(e, TlsError::CertificateAsKey(_))
        }),
    ]
}

/// Good PEM that must not serve.
fn bad_keys() -> Vec<Row> {
    vec![
        row("another's key", RSA_CERT, EC_KEY, |e| {
            matches!(e, TlsError::Mismatch { .. })
        }),
        row(
            "encrypted PKCS#8",
            RSA_CERT,
            fixture!("rsa-pkcs8-encrypted-key.pem"),
            |e| matches!(e, TlsError::EncryptedKey(_)),
        ),
        row(
            "encrypted PKCS#1",
            RSA_CERT,
            fixture!("rsa-pkcs1-encrypted-key.pem"),
            |e| matches!(e, TlsError::EncryptedKey(_)),
        ),
        row(
            "RSA 1024",
            fixture!("rsa-1024-cert.pem"),
            fixture!("rsa-1024-key.pem"),
            |e| matches!(e, TlsError::WeakKey { bits: 1024, .. }),
        ),
        row("SHA-1", fixture!("rsa-sha1-cert.pem"), RSA_KEY, |e| {
            matches!(e, TlsError::WeakSignature { number: 1, .. })
        }),
        row(
            "curve P-521",
            fixture!("ec-p521-cert.pem"),
            fixture!("ec-p521-key.pem"),
            |e| matches!(e, TlsError::UnsupportedKey(_)),
        ),
    ]
}

#[test]
fn a_bad_pair_is_refused_with_its_file_and_no_key_bytes() {
    for (name, certificate, key, is_it) in bad_files().into_iter().chain(bad_keys()) {
        let pair = Pair::write(&certificate, &key);
        let error = pair.load().unwrap_err();
        assert!(is_it(&error), "{name}: {error:?}");
        let said = format!("{error} {error:?}");
        assert!(
            said.contains("cert.pem") || said.contains("key.pem"),
            "{name}: {said}"
        );
        let key = String::from_utf8_lossy(&key).into_owned();
        let mut lines = key
            .lines()
            .filter(|line| line.len() > 20 && !line.contains("KEY"));
        assert!(!lines.any(|line| said.contains(line)), "{name}: {said}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let pair = Pair::fresh();
    fs::remove_file(&pair.key).unwrap();
    let error = pair.load().unwrap_err();
    assert!(
        matches!(&error, TlsError::Missing(path) if *path == pair.key),
        "{error}"
    );
}

#[test]
fn a_key_for_every_user_is_refused_and_one_for_the_group_warned_of() {
    let pair = Pair::fresh();
    for mode in [0o604, 0o601, 0o644, 0o666] {
        pair.set_key_mode(mode);
        let error = pair.load().unwrap_err();
        assert!(
            matches!(error, TlsError::ExposedKey { .. }),
            "{mode:o}: {error}"
        );
    }
    pair.set_key_mode(0o640);
    let warnings = pair.load().unwrap().warnings;
    assert!(warnings[0].contains("group"), "{warnings:?}");
    pair.set_key_mode(0o400);
    assert_eq!(pair.load().unwrap().warnings, Vec::<String>::new());
}

#[test]
fn dates_and_names_that_clients_will_refuse_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let files = crate::server::adhoc::ensure(folder.path(), &clock).unwrap();
    let load = |host: &str, clock: &Clock| {
        let (certificate, key) = (&files.certificate, &files.key);
        Loaded::from_files(certificate, key, Some(host), clock).unwrap()
    };
    let warnings = load("login.example.org", &clock).warnings;
    assert!(warnings[0].contains("login.example.org"), "{warnings:?}");
    let early = Clock::default();
    early.advance(Duration::days(-30));
    let warnings = load("localhost", &early).warnings;
    assert!(warnings[0].contains("valid only from"), "{warnings:?}");
    clock.advance(Duration::days(400));
    let loaded = load("localhost", &clock);
    assert!(
        loaded.warnings[0].contains("expired"),
        "{:?}",
        loaded.warnings
    );
    assert!(loaded.certificates.not_after() < clock.now());
}

#[test]
fn a_chain_with_a_gap_is_warned_of() {
    let authority = |name: &str| {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
    };
    let (root_key, middle_key, key) = (
        KeyPair::generate().unwrap(),
        KeyPair::generate().unwrap(),
        KeyPair::generate().unwrap(),
    );
    let root = authority("root").self_signed(&root_key).unwrap().pem();
    let root_issuer = Issuer::new(authority("root"), root_key);
    let middle = authority("middle").signed_by(&middle_key, &root_issuer);
    let middle = middle.unwrap().pem();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority("middle"), middle_key))
        .unwrap()
        .pem();
    let warnings = |chain: &[&str]| {
        let pair = Pair::write(chain.concat(), key.serialize_pem());
        pair.load().unwrap().warnings
    };
    assert_eq!(warnings(&[&leaf, &middle]), Vec::<String>::new());
    assert_eq!(warnings(&[&leaf, &middle, &root]), Vec::<String>::new());
    assert!(warnings(&[&leaf])[0].contains("no intermediate"));
    assert!(warnings(&[&leaf, &root])[0].contains("certificate 2"));
    assert!(warnings(&[&leaf, &root, &middle])[0].contains("certificate 2"));
}

/// A self-signed pair, valid for these days from an instant on.
fn valid_for(days: i64, from: OffsetDateTime) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.not_before = from;
    parameters.not_after = from + Duration::days(days);
    let certificate = parameters.self_signed(&key).unwrap();
    Pair::write(certificate.pem(), key.serialize_pem())
}

#[test]
fn an_end_that_comes_near_is_told_once_a_day() {
    let clock = Clock::default();
    let pair = valid_for(90, clock.now() - Duration::hours(1));
    let loaded = Loaded::from_files(&pair.certificate, &pair.key, None, &clock).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let certificates = loaded.certificates;
    let mut told = Vec::new();
    for _hour in 0..24 * 92 + 12 {
        clock.advance(Duration::hours(1));
        told.extend(certificates.news());
        assert_eq!(certificates.news(), Vec::<String>::new(), "twice");
    }
    let days = |words: &str| told.iter().filter(|it| it.contains(words)).count();
    let counts = [" days, on ", " hours, on ", " days ago"].map(days);
    assert_eq!(counts, [28, 48, 3]);
}

#[test]
fn a_certificate_out_of_date_replaces_only_one_that_is_so_too() {
    let clock = Clock::default();
    let now = clock.now();
    let pair = valid_for(90, now - Duration::hours(1));
    let loaded = Loaded::from_files(&pair.certificate, &pair.key, None, &clock).unwrap();
    let certificates = loaded.certificates;
    let until = certificates.not_after();
    let replace = |by: &Pair| {
        fs::copy(&by.certificate, &pair.certificate).unwrap();
        fs::copy(&by.key, &pair.key).unwrap();
        certificates.reload()
    };
    for bad in [
        valid_for(1, now - Duration::days(2)),
        valid_for(1, now + Duration::days(1)),
    ] {
        let refused = replace(&bad);
        assert!(matches!(refused, Err(TlsError::OutOfDate { .. })));
        assert_eq!(certificates.not_after(), until);
    }
    clock.advance(Duration::days(100));
    let warnings = replace(&valid_for(1, now)).unwrap();
    assert!(warnings[0].contains("expired"), "{warnings:?}");
    assert!(certificates.not_after() < until);
}

#[tokio::test]
async fn a_reload_is_for_new_handshakes_and_a_bad_pair_never_serves() {
    let (pair, other) = (Pair::fresh(), Pair::fresh());
    let old_trust = client_config(&pair.certificate, &[]);
    let new_trust = client_config(&other.certificate, &[]);
    let loaded = pair.load().unwrap();
    let certificates = std::sync::Arc::clone(&loaded.certificates);
    let server = start(patient(), Some(loaded)).await;
    let mut open = handshake(server.connect().await, old_trust.clone())
        .await
        .unwrap();

    fs::copy(&other.certificate, &pair.certificate).unwrap();
    assert!(
        certificates.reload().is_err(),
        "only one of two was replaced"
    );
    let half = fs::read(&other.key).unwrap();
    fs::write(&pair.key, &half[..half.len() / 2]).unwrap();
    assert!(certificates.reload().is_err(), "the key is half-written");
    assert!(
        handshake(server.connect().await, old_trust.clone())
            .await
            .is_ok()
    );

    fs::copy(&other.key, &pair.key).unwrap();
    certificates.reload().unwrap();
    assert!(handshake(server.connect().await, new_trust).await.is_ok());
    let fresh_client = client_config(&other.certificate, &[]);
    assert!(
        handshake(server.connect().await, fresh_client)
            .await
            .is_ok()
    );
    open.write_all(b"GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(read_until(&mut open, "}").await.contains("is_tls: true"));
}

#[tokio::test]
async fn both_versions_and_both_protocols_are_spoken() {
    let pair = Pair::fresh();
    let loaded = pair.load().unwrap();
    let config = loaded.certificates.config();
    assert_eq!(config.max_early_data_size, 0);
    let server = start(patient(), Some(loaded)).await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let config = client_config(&pair.certificate, offered);
        let stream = handshake(server.connect().await, config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let version = stream.get_ref().1.protocol_version();
        assert_eq!(version, Some(ProtocolVersion::TLSv1_3));
    }
    let old = client_config_of(&pair.certificate, &[], &[&TLS12]);
    let stream = handshake(server.connect().await, old).await.unwrap();
    let version = stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(ProtocolVersion::TLSv1_2));
    let foreign = client_config(&pair.certificate, &["imap"]);
    assert!(handshake(server.connect().await, foreign).await.is_err());
}

#[tokio::test]
async fn a_session_is_resumed() {
    let pair = Pair::fresh();
    let server = start(patient(), Some(pair.load().unwrap())).await;
    let config = client_config(&pair.certificate, &[]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = handshake(server.connect().await, config.clone())
            .await
            .unwrap();
        stream
            .write_all(b"GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        // A ticket comes behind the handshake; reading takes it in.
        read_until(&mut stream, "}").await;
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    assert_eq!(
        kinds,
        [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]
    );
}

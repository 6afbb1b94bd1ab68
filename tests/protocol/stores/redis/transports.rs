//! Ways to Redis other than plain TCP: TLS and Unix sockets.

use std::fs;

use tempfile::TempDir;
use warp_sentinel::clock::Clock;
use warp_sentinel::settings::RedisTopology;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::stores::redis::endpoints::RedisEndpoints;
use warp_sentinel::telemetry::chain::Chain;

use crate::support::process::install_tls;
use crate::support::stores::start_redis;

use super::super::fixtures::token;
use super::{PATIENT, connect, grant, set};

#[tokio::test]
async fn a_unix_socket_is_used_with_events() {
    let folder = TempDir::with_prefix("sentinel-socket-").unwrap();
    let path = folder.path().join("redis");
    let path = path.to_str().unwrap();
    let _server = start_redis(&["--unixsocket", path]).await;
    let address = Secret::new(format!("unix://{path}?db=3"));
    let (ours, _) = connect(&RedisTopology::Endpoints(vec![address])).await;
    assert!(ours.tracks_changes());
    let now = Clock::default().now();
    ours.publish(&[set(1, grant(now))], now).await.unwrap();
    let found = ours.find_many(&[token(1)]).await.unwrap();
    assert_eq!(found, [Some(grant(now))]);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    install_tls();
    let folder = TempDir::with_prefix("sentinel-redis-tls-").unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (folder.path().join("cert"), folder.path().join("key"));
    fs::write(&certificate, issued.cert.pem()).unwrap();
    fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let files = ["--tls-cert-file", certificate, "--tls-key-file", key];
    let options = [&files[..], &["--tls-auth-clients", "no"]].concat();
    let server = start_redis(&options).await;
    let address = format!("rediss://localhost:{}", server.address().port());
    let topology = RedisTopology::Endpoints(vec![Secret::new(address)]);
    let endpoints = RedisEndpoints::new(&topology).unwrap();
    let refused = endpoints.endpoints()[0]
        .connect(PATIENT, None, |_| {})
        .await;
    let told = Chain(&refused.err().unwrap()).to_string();
    assert!(told.contains("certificate"), "{told}");
}

//! TLS of `sentinel serve` from PEM files: the protocols it offers, and how certificates change.

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use warp::http::{Request, StatusCode};

use super::{START, place_with};
use crate::support::process::{PATIENCE, Place};
use crate::support::tls::{self, Pair, client_config, make_pair, write_pair};

/// A place with these as `certs/cert.pem` and `certs/key.pem`.
async fn place_with_pair(pair: &Pair) -> Place {
    let place = place_with(&[("SENTINEL_TLS", "on")]).await;
    write_pair(&place, pair, pair);
    place
}

/// A connection that trusts `pair` alone and offers one protocol.
async fn connect(
    port: u16,
    pair: &Pair,
    protocol: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    tls::connect(port, client_config([pair], protocol)).await
}

async fn shown_certificate(port: u16, pair: &Pair) -> CertificateDer<'static> {
    let stream = connect(port, pair, "h2").await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

fn health(uri: &str) -> Request<String> {
    let request = Request::get(uri).header("host", "localhost");
    request.body(String::new()).unwrap()
}

#[tokio::test]
async fn http_1_and_http_2_are_served_with_the_certificate_of_the_files() {
    let pair = make_pair();
    let place = place_with_pair(&pair).await;
    let mut running = place.start(START);
    let port = running.port(false).await;

    let stream = connect(port, &pair, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let request = Request::get("https://localhost/healthz").body(String::new());
    let answer = tokio::select! {
        answer = sender.send_request(request.unwrap()) => answer.unwrap(),
        ended = connection => panic!("{ended:?}"),
    };
    assert_eq!(answer.status(), StatusCode::OK);

    let stream = connect(port, &pair, "http/1.1").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let answer = tokio::select! {
        answer = sender.send_request(health("/healthz")) => answer.unwrap(),
        ended = connection => panic!("{ended:?}"),
    };
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_hangup_takes_the_new_certificate_and_keeps_it_when_the_next_is_bad() {
    let (first, second, third) = (make_pair(), make_pair(), make_pair());
    let place = place_with_pair(&first).await;
    let mut running = place.start(START);
    let port = running.port(false).await;
    assert_eq!(shown_certificate(port, &first).await, *first.cert.der());

    write_pair(&place, &second, &second);
    // Nobody has said so yet.
    assert_eq!(shown_certificate(port, &first).await, *first.cert.der());
    running.signal("HUP");
    running.line("the templates were read again").await;
    assert_eq!(shown_certificate(port, &second).await, *second.cert.der());

    // The key of another one, as when a tool has written half of the pair.
    write_pair(&place, &third, &second);
    running.signal("HUP");
    let line = running.line("the old certificate stays").await;
    assert!(line.contains("does not belong"), "{line}");
    assert_eq!(shown_certificate(port, &second).await, *second.cert.der());

    running.signal("TERM");
    assert_eq!(running.ended(PATIENCE).await.code, Some(0));
}

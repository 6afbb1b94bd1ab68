//! SIGTERM drains `sentinel serve`: what is in flight is answered.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{START, place_with, serve_in};
use crate::support::app::USER;

/// How long a drain may take, whatever clients do.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// A token request whose head has arrived and whose body is awaited.
async fn half_a_login(port: u16, client_id: &str) -> (TcpStream, String) {
    let body = format!(
        "grant_type=password&client_id={client_id}&username={}&password={}",
        USER.0,
        USER.1.replace(' ', "+")
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body, so a handler has begun.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, body)
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    // The client is made over TLS; the raw request then goes to a second server without.
    let mut place = place_with(&[]).await;
    let mut made = serve_in(&place, "/oauth").await;
    made.running.signal("TERM");
    made.running.line("told to stop").await;
    place.set("SENTINEL_TLS", "off");
    let mut running = place.start(START);
    let port = running.port(false).await;
    let (mut stream, body) = half_a_login(port, &made.client_id).await;

    running.signal("TERM");
    running.line("told to stop: draining").await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"access_token\""), "{answer}");
    let ended = running.ended(DRAIN_LIMIT).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let place = place_with(&[("SENTINEL_TLS", "off")]).await;
    let mut running = place.start(START);
    let port = running.port(false).await;
    let _stuck = half_a_login(port, "nobody").await;
    running.signal("TERM");
    running.line("told to stop: draining").await;
    running.signal("TERM");
    let ended = running.ended(DRAIN_LIMIT / 2).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("stopped by a second signal"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_client_that_never_finishes_does_not_hold_up_the_end() {
    let place = place_with(&[("SENTINEL_TLS", "off")]).await;
    let mut running = place.start(START);
    let port = running.port(false).await;
    let _stuck = half_a_login(port, "nobody").await;
    running.signal("TERM");
    let ended = running.ended(DRAIN_LIMIT + Duration::from_secs(2)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

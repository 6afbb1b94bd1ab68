//! SIGTERM drains `sentinel serve`: balancers get notice, what is in flight is answered. The same
//! under load and behind a balancer is in the resilience tests.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{START, place_with, serve_in};
use crate::support::app::{USER, answer};
use crate::support::process::https;

/// How long the end may take, whatever clients do.
const END_WITHIN: Duration = Duration::from_secs(10);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(1);
/// Less than the 2 s between the signal and the end of the listener.
const WITHIN_NOTICE: Duration = Duration::from_millis(1_500);

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
    let ended = running.ended(END_WITHIN).await;
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
    let ended = running.ended(END_WITHIN / 2).await;
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
    let ended = running.ended(END_WITHIN + SLACK).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("connections were cut"), "{ended:?}");
}

#[tokio::test]
async fn readiness_ends_at_once_and_the_listener_later() {
    let place = place_with(&[("SENTINEL_METRICS_LISTEN", "127.0.0.1:0")]).await;
    let mut served = serve_in(&place, "/oauth").await;
    let line = served.running.line("listening for metrics").await;
    let operations = format!("http://{}", line.rsplit_once("address=").unwrap().1);
    let ready = answer(served.http.get(format!("{}/readyz", served.origin))).await;
    assert_eq!(ready.status, StatusCode::OK, "{}", ready.body);

    served.running.signal("TERM");
    let told = Instant::now();
    served.running.line("told to stop: draining").await;
    for origin in [&served.origin, &operations] {
        let ready = answer(https().get(format!("{origin}/readyz"))).await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{origin}");
        assert_eq!(ready.json(), serde_json::json!({"status": "draining"}));
        let alive = answer(https().get(format!("{origin}/healthz"))).await;
        assert_eq!(alive.status, StatusCode::OK, "{origin}");
    }
    while told.elapsed() < WITHIN_NOTICE {
        // A client that does not ask about readiness finds everything as before.
        let tokens = served.login().await;
        assert_eq!(served.verify(&tokens).await, StatusCode::NO_CONTENT);
        TcpStream::connect(("127.0.0.1", served.port()))
            .await
            .unwrap();
    }
    let ended = served.running.ended(END_WITHIN).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(told.elapsed() > WITHIN_NOTICE, "{ended:?}");
}

#[tokio::test]
async fn a_signal_during_the_start_ends_it_and_a_hangup_does_not() {
    // MongoDB on this port is waited for: nobody listens on it.
    let place = place_with(&[("SENTINEL_MONGO_URI", "mongodb://127.0.0.1:1")]).await;
    let mut running = place.start(START);
    // The first line; from now on signals do not end it by themselves.
    running.line("SENTINEL_BCRYPT_COST").await;
    let deadline = Instant::now() + WITHIN_NOTICE;
    while !catches_hangups(running.pid()) {
        assert!(Instant::now() < deadline, "it does not listen for signals");
        tokio::task::yield_now().await;
    }
    running.signal("HUP");
    running.signal("TERM");
    let ended = running.ended(WITHIN_NOTICE).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("before the start was over"), "{ended:?}");
}

/// Whether a process has a handler for SIGHUP, which is number 1.
fn catches_hangups(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 == 1
}

#[tokio::test]
async fn an_interrupt_at_a_terminal_gives_no_notice() {
    let place = place_with(&[]).await;
    let mut running = place.start(START);
    running.port(false).await;
    running.signal("INT");
    let ended = running.ended(WITHIN_NOTICE).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

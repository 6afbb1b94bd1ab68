use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::server::accept::Drained;
use crate::server::limits::Limits;
use crate::server::testing::{
    PATIENCE, Running, SHORT, ad_hoc, client_config, handshake, patient, read_to_end, start,
};

/// A body whose end never comes.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

struct Client<B> {
    sender: SendRequest<B>,
    ended: JoinHandle<hyper::Result<()>>,
}

impl<B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static> Client<B> {
    async fn get(&mut self, path: &str, body: B) -> Response<Incoming> {
        let request = Request::post(format!("https://localhost{path}"))
            .body(body)
            .unwrap();
        let answer = timeout(PATIENCE, self.sender.send_request(request)).await;
        answer.expect("the server answers in time").unwrap()
    }

    async fn ended(self) {
        let _still_open = self.sender;
        timeout(PATIENCE, self.ended)
            .await
            .expect("the server closes in time")
            .unwrap()
            .ok();
    }
}

/// A server with TLS, and a client of HTTP/2 that grants each response so many bytes unasked.
async fn start_with<B>(limits: Limits, window: u32) -> (Running, Client<B>)
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let (folder, loaded) = ad_hoc();
    let server = start(limits, Some(loaded)).await;
    let config = client_config(&folder.path().join("adhoc-cert.pem"), &["h2"]);
    let stream = handshake(server.connect().await, config).await.unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test owns the client's task")]
    let ended = tokio::spawn(connection);
    (server, Client { sender, ended })
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn http_2_is_spoken_with_who_offers_it() {
    let (_server, mut client) = start_with(patient(), 65_535).await;
    let response = client.get("/peer", Empty::new()).await;
    assert_eq!(response.version(), Version::HTTP_2);
    assert!(text(response).await.contains("is_tls: true"));
    let unknown = client.get("/nowhere", Empty::new()).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed_in_time() {
    let limits = Limits {
        idle: SHORT,
        ..patient()
    };
    let (_server, mut client) = start_with(limits, 65_535).await;
    client.get("/peer", Empty::new()).await;
    let begin = Instant::now();
    client.ended().await;
    assert!(begin.elapsed() >= SHORT / 2, "closed too early");
}

#[tokio::test]
async fn a_peer_that_is_silent_behind_its_handshake_is_closed() {
    let (folder, loaded) = ad_hoc();
    let limits = Limits {
        request_head: SHORT,
        ..patient()
    };
    let server = start(limits, Some(loaded)).await;
    for protocol in ["h2", "http/1.1"] {
        let config = client_config(&folder.path().join("adhoc-cert.pem"), &[protocol]);
        let mut stream = handshake(server.connect().await, config).await.unwrap();
        let begin = Instant::now();
        read_to_end(&mut stream).await;
        assert!(begin.elapsed() < PATIENCE / 2, "{protocol}");
    }
}

#[tokio::test]
async fn a_body_without_end_fails_at_its_deadline() {
    let limits = Limits {
        request_body: SHORT,
        ..patient()
    };
    let (_server, mut client) = start_with(limits, 65_535).await;
    let response = client.get("/echo", Endless).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_peer_that_opens_no_window_is_cut() {
    let limits = Limits {
        response_stall: SHORT,
        ..patient()
    };
    let (_server, mut client) = start_with(limits, 0).await;
    let _unread = client.get("/large", Empty::new()).await;
    client.ended().await;
}

#[tokio::test]
async fn a_peer_that_lets_the_rest_of_a_response_wait_is_cut_when_idle() {
    let limits = Limits {
        idle: SHORT,
        response_stall: SHORT,
        ..patient()
    };
    let (_server, mut client) = start_with(limits, 1).await;
    let _unread = client.get("/large", Empty::new()).await;
    client.ended().await;
}

#[tokio::test]
async fn a_response_that_takes_longer_than_idleness_comes_whole() {
    let limits = Limits {
        idle: SHORT / 10,
        ..patient()
    };
    let (_server, mut client) = start_with(limits, 1_024).await;
    let response = client.get("/large", Empty::new()).await;
    let mut body = response.into_body();
    // A few small steps that together take longer than a connection may be idle.
    for _ in 0..20 {
        body.frame().await.unwrap().unwrap();
        tokio::time::sleep(SHORT / 30).await;
    }
    assert!(timeout(SHORT, client.ended).await.is_err(), "cut too early");
}

#[tokio::test]
async fn a_stream_in_flight_is_answered_when_the_server_stops() {
    let (mut server, mut client) = start_with(patient(), 65_535).await;
    client.get("/peer", Empty::new()).await;
    let slow = Request::get("https://localhost/slow")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = client.sender.send_request(slow);
    // The answer to this one shows that the one before it has arrived.
    client.get("/peer", Empty::new()).await;
    server.tell_to_stop();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "slow but whole");
    client.ended().await;
    assert_eq!(server.ended().await, Drained::Whole);
}

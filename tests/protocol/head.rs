//! What is only read, and `HEAD`, with which many watch a server (RFC 9110 §9.3.2, §15.5.6).

use hyper::client::conn::http2;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::rows::check_each;
use crate::support::app::{TestApp, answer, spawn_app};
use crate::tls::{Pair, spawn_app_with_pair};

/// Routes that answer `GET` to anybody, and with what.
const READ: [(&str, u16); 5] = [
    ("/healthz", 200),
    ("/readyz", 200),
    ("/oauth/errors", 200),
    ("/oauth/verify", 401),
    ("/nothing", 404),
];

#[tokio::test]
async fn what_is_only_read_names_its_methods() {
    let app = spawn_app().await;
    let mut outcomes = Vec::new();
    for (path, _) in &READ[..3] {
        let posted = answer(app.post(path)).await;
        let is_refused = posted.status == 405 && posted.header("allow") == "GET, HEAD";
        outcomes.push((*path, is_refused.then_some(()).ok_or(format!("{posted:?}"))));
    }
    check_each(&outcomes);
}

#[tokio::test]
async fn head_is_the_head_of_what_get_answers() {
    let app = spawn_app().await;
    let mut outcomes = Vec::new();
    for (path, status) in READ {
        let head = answer(app.http.head(format!("{}{path}", app.url))).await;
        let read = answer(app.get(path)).await;
        assert_eq!(read.status, status, "{path}");
        let is_head = head.status == status
            && head.body.is_empty()
            && head.headers.contains_key("content-length")
            && head.headers.get("content-length") == read.headers.get("content-length")
            && head.headers.get("content-type") == read.headers.get("content-type");
        outcomes.push((
            path,
            is_head.then_some(()).ok_or(format!("{head:?}, {read:?}")),
        ));
    }
    check_each(&outcomes);
}

/// RFC 9113 §8.1.1: a piece of a body after the head of its length is an error of the stream.
#[tokio::test]
async fn head_has_no_body_in_http_2_either() {
    let (app, pair) = spawn_app_with_pair().await;
    let mut outcomes = Vec::new();
    for (path, status) in READ {
        let outcome = match ask_over_http2(&app, &pair, path).await {
            Ok(found) if found == (status, 0) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        outcomes.push((path, outcome));
    }
    check_each(&outcomes);
}

/// The status of `HEAD`, and the bytes that come after it.
async fn ask_over_http2(
    app: &TestApp,
    pair: &Pair,
    path: &str,
) -> Result<(u16, usize), hyper::Error> {
    let io = TokioIo::new(pair.open(app, &["h2"]).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
    let request = Request::head(format!("https://localhost{path}")).body(String::new());
    let asked = async {
        let answer = sender.send_request(request.unwrap()).await?;
        let status: StatusCode = answer.status();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await?;
        Ok((status.as_u16(), body.to_bytes().len()))
    };
    tokio::select! {
        asked = asked => asked,
        ended = connection => panic!("{ended:?}"),
    }
}

//! Bodies that are too large, clients that wait and clients that leave (RFC 9110 §10.1.1, §15.5.14).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{form_text, with_client};
use crate::raw::{self, connect, exchange, pour, read_all, spawn_plain_app};
use crate::rows::check_each;
use crate::support::app::{FORM, TestApp};

/// RFC 9110 §10.1.1, §15.5.14: what is too large is refused before it is read.
#[tokio::test]
async fn a_body_over_16_kib_is_refused_and_the_connection_closed() {
    let app = spawn_plain_app().await;
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\ncontent-type: {FORM}\r\n"
    );
    let whole = |length: usize| {
        format!(
            "{head}content-length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    let just_fits = format!(
        "{head}content-length: 16384\r\nconnection: close\r\n\r\n{}",
        "x".repeat(16_384)
    );
    let declared = format!("{head}content-length: 16385\r\n\r\n");
    let expecting = format!("{head}content-length: 16385\r\nexpect: 100-continue\r\n\r\n");
    let huge = format!("{head}content-length: 99999999999999999\r\n\r\n");

    let start = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024));
    let (taken, endless) = pour(&app, &start, chunk.as_bytes()).await;

    let too_large = |answer: raw::Bytes| {
        answer.is_refusal(413)?;
        let text = answer.text.to_ascii_lowercase();
        for wanted in [
            "connection: close",
            "content-type: application/json",
            "cache-control: no-store",
            "\"error\":\"invalid_request\"",
        ] {
            if !text.contains(wanted) {
                return Err(format!("no {wanted} in {text}"));
            }
        }
        Ok(())
    };
    let fits = exchange(&app, just_fits).await;
    check_each(&[
        ("T39 16,384 bytes", fits.is_refusal(400)),
        (
            "T38 16,385 bytes",
            too_large(exchange(&app, whole(16_385)).await),
        ),
        (
            "T38 10 MB",
            too_large(exchange(&app, whole(10_000_000)).await),
        ),
        (
            "T38 declared alone",
            too_large(exchange(&app, declared).await),
        ),
        (
            "T38 a length beyond memory",
            too_large(exchange(&app, huge).await),
        ),
        ("T42 Expect", too_large(exchange(&app, expecting).await)),
        ("T38 endless chunks", too_large(endless)),
    ]);
    // Some is read and forgotten, so that the answer gets through (RFC 9112 §9.6).
    assert!(taken < 32 * 1_024 * 1_024, "{taken} bytes were taken");
}

/// RFC 9110 §15.5.9: the server waits ten seconds for a body, and not longer.
#[tokio::test]
async fn a_body_that_does_not_come_is_a_timeout_and_one_cut_short_a_bad_request() {
    let app = spawn_plain_app().await;
    let head = "POST /oauth/token HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc";
    let mut stream = connect(&app).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let cut_short = read_all(&mut stream).await;
    let silent = exchange(&app, head).await;
    check_each(&[
        ("cut short", cut_short.is_refusal(400)),
        ("silent", silent.is_refusal(408)),
    ]);
}

/// RFC 9110 §10.1.1: a body that is wanted is asked for.
#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_before_the_answer() {
    let app = spawn_plain_app().await;
    let body = form_text(&with_client(("client_id", &app.client_id)));
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {FORM}\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = connect(&app).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// A client that does not wait for its answer can ask again: nothing is half done.
#[tokio::test]
async fn a_client_that_leaves_during_a_refresh_loses_nothing() {
    let app = spawn_plain_app().await;
    let tokens = login_plainly(&app).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", app.client_id.as_str()),
        ("refresh_token", tokens.as_str()),
    ];
    let request = raw_post(&form_text(&form));
    for _ in 0..20 {
        let mut stream = connect(&app).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        // Gone before the answer.
        drop(stream);
    }
    let first = exchange(&app, &request).await;
    assert_eq!(first.status(), 200, "{first:?}");
    let again = exchange(&app, &request).await;
    assert_eq!(
        token_in(&first, "refresh_token"),
        token_in(&again, "refresh_token")
    );
}

fn raw_post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /oauth/token HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {FORM}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

async fn login_plainly(app: &TestApp) -> String {
    let form = with_client(("client_id", &app.client_id));
    let answer = exchange(app, raw_post(&form_text(&form))).await;
    token_in(&answer, "refresh_token")
}

#[track_caller]
fn token_in(answer: &raw::Bytes, member: &str) -> String {
    let (_, body) = answer.text.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body[member].as_str().unwrap().to_owned()
}

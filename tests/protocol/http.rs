//! What HTTP itself refuses, over our own accept loop (RFC 9110, RFC 9112, RFC 9113).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::raw::{PATIENCE, exchange, spawn_plain_app};
use crate::rows::check_each;
use crate::support::app::{TestApp, answer, spawn_app};
use crate::tls::{Pair, spawn_app_with_pair};

/// RFC 9112 §6.1, §6.3: lengths that two readers could understand in two ways.
#[tokio::test]
async fn an_ambiguous_length_is_refused_with_the_connection() {
    let app = spawn_plain_app().await;
    let framed = |lines: &str| format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\nabcdef");
    let old = "GET /healthz HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let rows = vec![
        ("H1 two", framed("content-length: 5\r\ncontent-length: 6")),
        ("H1 a list", framed("content-length: 5, 6")),
        ("H1 +5", framed("content-length: +5")),
        ("H1 -5", framed("content-length: -5")),
        ("H1 0x5", framed("content-length: 0x5")),
        ("H1 empty", framed("content-length: ")),
        (
            "H1 over 64 bits",
            framed("content-length: 18446744073709551616"),
        ),
        ("H1 an unknown coding", framed("transfer-encoding: x")),
        (
            "H1 chunked not last",
            framed("transfer-encoding: chunked, gzip"),
        ),
        ("H1 chunked in HTTP/1.0", old.to_owned()),
    ];
    check_each(&refusals(&app, 400, rows).await);
}

/// RFC 9112 §2.2, §3, §5.1, §5.2.
#[tokio::test]
async fn a_malformed_line_is_refused_with_the_connection() {
    let app = spawn_plain_app().await;
    let lines = |lines: &str| format!("GET /healthz HTTP/1.1\r\n{lines}\r\n\r\n");
    let first = |line: &str| format!("{line}\r\nhost: a\r\n\r\n");
    let rows = vec![
        ("H1 a folded line", lines("host: a\r\nx: 1\r\n 2")),
        ("H1 a folded first line", lines(" x: 1\r\nhost: a")),
        ("H1 a blank before the colon", lines("host: a\r\nx : 1")),
        ("H1 no colon", lines("host: a\r\nx")),
        ("H1 an empty name", lines("host: a\r\n: 1")),
        ("H1 a bare CR in a value", lines("host: a\r\nx: 1\r2")),
        ("H1 a NUL in a value", lines("host: a\r\nx: 1\0")),
        ("H4 HTTP/0.9", first("GET /healthz")),
        ("H4 no HTTP", first("hello")),
        ("H4 two blanks", first("GET  /healthz HTTP/1.1")),
    ];
    check_each(&refusals(&app, 400, rows).await);
}

/// RFC 9112 §3.2.
#[tokio::test]
async fn a_request_without_one_good_host_is_refused_with_the_connection() {
    let app = spawn_plain_app().await;
    let hosts = |lines: &str| format!("GET /healthz HTTP/1.1\r\n{lines}\r\n");
    let whole_url = "GET http://a/healthz HTTP/1.1\r\n\r\n".to_owned();
    let rows = vec![
        ("H2 none", hosts("")),
        ("H2 none beside a whole URL", whole_url),
        ("H2 two", hosts("host: a\r\nhost: a\r\n")),
        ("H2 an empty one", hosts("host: \r\n")),
        ("H2 a path", hosts("host: a/b\r\n")),
        ("H2 user information", hosts("host: me@a\r\n")),
        ("H2 a blank", hosts("host: a b\r\n")),
        ("H2 a bad port", hosts("host: a:b\r\n")),
    ];
    check_each(&refusals(&app, 400, rows).await);
}

/// RFC 9112 §7.1: a body that breaks its framing ends the connection, and none of it is served.
#[tokio::test]
async fn a_broken_chunk_ends_the_connection() {
    let app = spawn_plain_app().await;
    let head = "POST /oauth/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    let mut outcomes = Vec::new();
    for (name, body) in [
        ("H1 a size over 64 bits", "fffffffffffffffff\r\n"),
        ("H1 a size that wraps", "10000000000000001\r\nx\r\n"),
        ("H1 a negative size", "-1\r\nx\r\n"),
        ("H1 no size", "\r\nx\r\n"),
        ("H1 no hex", "zz\r\nx\r\n"),
        ("H1 more than the size", "1\r\nxyz\r\n0\r\n\r\n"),
        ("H1 a bare LF behind the size", "1\nx\r\n0\r\n\r\n"),
    ] {
        let smuggled = format!("{head}{body}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
        outcomes.push((name, exchange(&app, smuggled).await.is_refusal(400)));
    }
    check_each(&outcomes);
}

/// RFC 9112 §6.1: a length beside chunks is overruled by them, and the connection ends, so that
/// nothing can hide behind the shorter of the two.
#[tokio::test]
async fn a_length_beside_chunks_hides_no_second_request() {
    let app = spawn_plain_app().await;
    let head = "GET /healthz HTTP/1.1\r\nhost: a\r\n";
    let (length, chunked) = ("content-length: 5\r\n", "transfer-encoding: chunked\r\n");
    let smuggled = "\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut outcomes = Vec::new();
    for (name, request) in [
        (
            "H1 length, then chunked",
            format!("{head}{length}{chunked}{smuggled}"),
        ),
        (
            "H1 chunked, then length",
            format!("{head}{chunked}{length}{smuggled}"),
        ),
    ] {
        let answer = exchange(&app, request).await;
        let is_one = answer.is_closed && answer.answers() == 1;
        outcomes.push((name, is_one.then_some(()).ok_or(format!("{answer:?}"))));
    }
    check_each(&outcomes);
}

/// RFC 6585 §5; RFC 9110 §15.5.15.
#[tokio::test]
async fn a_head_beyond_the_limits_is_refused() {
    let app = spawn_plain_app().await;
    let with = |lines: &str| format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
    let lines = |count: usize| with(&"x: 1\r\n".repeat(count));
    let long = |bytes: usize| "a".repeat(bytes);
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
    let too_large = vec![
        ("H3 101 header lines", lines(100)),
        ("H3 10,000 header lines", lines(10_000)),
        (
            "H3 a line over 16 KB",
            with(&format!("x: {}\r\n", long(16_384))),
        ),
        (
            "H3 a name over 16 KB",
            with(&format!("{}: x\r\n", long(16_384))),
        ),
        (
            "H3 a head without end",
            with(&format!("x: {}", long(100_000))),
        ),
    ];
    let too_long = vec![
        (
            "H3 a target over 8 KB",
            target(&format!("/{}", long(8_192))),
        ),
        (
            "H3 a query over 8 KB",
            target(&format!("/healthz?{}", long(8_192))),
        ),
    ];
    let close = "connection: close\r\n";
    let good = vec![
        (
            "100 header lines",
            with(&format!("{}{close}", "x: 1\r\n".repeat(98))),
        ),
        (
            "a head of 15 KB",
            with(&format!("x: {}\r\n{close}", long(15_000))),
        ),
        ("a blank line before", format!("\r\n{}", with(close))),
        (
            "HTTP/1.0 without Host",
            "GET /healthz HTTP/1.0\r\n\r\n".to_owned(),
        ),
    ];
    let mut outcomes = refusals(&app, 431, too_large).await;
    outcomes.extend(refusals(&app, 414, too_long).await);
    outcomes.extend(refusals(&app, 200, good).await);
    check_each(&outcomes);
}

/// RFC 9110 §9.1, §9.3.6, §15.5.6, §15.6.2.
#[tokio::test]
async fn an_unknown_method_is_not_implemented() {
    let app = spawn_plain_app().await;
    let request = |line: &str| format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n");
    let unknown = vec![
        ("H4 an unknown method", request("BREW /healthz")),
        ("H4 a method in small letters", request("get /healthz")),
    ];
    let mut outcomes = refusals(&app, 501, unknown).await;
    let connect = vec![("H4 CONNECT", request("CONNECT a:443"))];
    outcomes.extend(refusals(&app, 405, connect).await);
    check_each(&outcomes);
}

/// RFC 9112 §9.3, §9.3.2: answers come in the order of their requests.
#[tokio::test]
async fn requests_in_a_row_each_get_their_own_answer() {
    let app = spawn_plain_app().await;
    let paths = ["/healthz", "/oauth/token", "/oauth/verify", "/nothing"];
    let requests: String = paths
        .map(|path| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
        .concat();
    let last = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(&app, format!("{requests}{last}")).await;
    let statuses: Vec<&str> = answer
        .text
        .match_indices("HTTP/1.1 ")
        .map(|(at, found)| &answer.text[at + found.len()..][..3])
        .collect();
    assert_eq!(statuses, ["200", "405", "401", "404", "200"], "{answer:?}");
}

/// OWASP ASVS 3.4.2: no other origin is let in.
#[tokio::test]
async fn no_origin_is_allowed_by_default() {
    let app = spawn_app().await;
    let token = app.login().await.access;
    let mut outcomes = Vec::new();
    for path in [
        "/oauth/token",
        "/oauth/verify",
        "/endpoint",
        "/healthz",
        "/nothing",
    ] {
        let url = format!("{}{path}", app.url);
        for origin in ["https://evil.example", "null"] {
            let preflight = app
                .http
                .request(reqwest::Method::OPTIONS, &url)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization");
            let simple = app.get(path).header("origin", origin).bearer_auth(&token);
            for request in [preflight, simple] {
                let answer = answer(request).await;
                let is_closed = !answer
                    .headers
                    .keys()
                    .any(|name| name.as_str().starts_with("access-control-"));
                outcomes.push((path, is_closed.then_some(()).ok_or(format!("{answer:?}"))));
            }
        }
    }
    check_each(&outcomes);
}

/// RFC 9110 §15.5.5; nothing tells what a path is made of.
#[tokio::test]
async fn what_is_not_ours_is_not_found() {
    let app = spawn_app().await;
    let mut outcomes = Vec::new();
    for path in [
        "/",
        "/nothing",
        "/oauth",
        "/oauth/",
        "/oauth/token/",
        "/oauth/token/x",
        "/OAUTH/TOKEN",
        "/oauth//token",
        "/oauth/%74oken",
        "/oauth/token%00",
        "/%2e%2e/etc/passwd",
        "//oauth/token",
    ] {
        let answer = answer(app.post(path)).await;
        let is_right = answer.status == 404 && answer.header("x-content-type-options") == "nosniff";
        outcomes.push((path, is_right.then_some(()).ok_or(format!("{answer:?}"))));
    }
    check_each(&outcomes);
}

/// RFC 9113 §8.1.1, §8.2.1, §8.2.2, §8.3: a malformed request is a stream or a connection error.
#[tokio::test]
async fn a_malformed_http_2_request_is_reset() {
    let (app, pair) = spawn_app_with_pair().await;
    let good: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/healthz"),
    ];
    let mut outcomes = Vec::new();
    for (name, changes) in [
        ("H8 CR in a value", [("x", "a\rb")]),
        ("H8 LF in a value", [("x", "a\nb")]),
        ("H8 NUL in a value", [("x", "a\0b")]),
        ("H8 CRLF in a value", [("x", "a\r\nx-username: jonas")]),
        ("H8 CR in a name", [("x\ry", "a")]),
        ("H8 capitals in a name", [("X-Name", "a")]),
        ("H8 Connection", [("connection", "close")]),
        ("H8 Keep-Alive", [("keep-alive", "1")]),
        ("H8 Transfer-Encoding", [("transfer-encoding", "chunked")]),
        ("H8 Upgrade", [("upgrade", "h2c")]),
        ("H8 TE other than trailers", [("te", "gzip")]),
        ("H8 a length without a body", [("content-length", "5")]),
        ("H8 an unknown pseudo-header", [(":x", "a")]),
        ("H8 a second path", [(":path", "/oauth/verify")]),
    ] {
        let headers = [good.as_slice(), &changes].concat();
        let ended = http2_outcome(&app, &pair, &headers).await;
        let is_error = matches!(ended, Http2::Reset | Http2::GoneAway | Http2::Closed);
        outcomes.push((name, is_error.then_some(()).ok_or(format!("{ended:?}"))));
    }
    let ended = http2_outcome(&app, &pair, &good).await;
    let is_answer = matches!(ended, Http2::Answered);
    outcomes.push((
        "the good one",
        is_answer.then_some(()).ok_or(format!("{ended:?}")),
    ));
    check_each(&outcomes);
}

/// What became of a stream.
#[derive(Debug)]
enum Http2 {
    Answered,
    Reset,
    GoneAway,
    Closed,
}

/// Sends one request as frames (RFC 9113 §4.1) and reads frames until it is decided.
async fn http2_outcome(app: &TestApp, pair: &Pair, headers: &[(&str, &str)]) -> Http2 {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A literal header field without indexing (RFC 7541 §6.2.2); all are shorter than 127 bytes.
    let short = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block: Vec<u8> = headers
        .iter()
        .flat_map(|(name, value)| [vec![0], short(name), short(value)].concat())
        .collect();
    let length = u8::try_from(block.len()).unwrap();
    // HEADERS, with END_STREAM and END_HEADERS, on stream 1.
    let frame = [0, 0, length, 1, 5, 0, 0, 0, 1];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let sent = [preface.as_slice(), &SETTINGS, &frame, &block].concat();
    let mut stream = pair.open(app, &["h2"]).await.unwrap();
    stream.write_all(&sent).await.unwrap();
    let decided = async {
        loop {
            let mut frame = [0; 9];
            if stream.read_exact(&mut frame).await.is_err() {
                return Http2::Closed;
            }
            let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            match frame[3] {
                1 => return Http2::Answered,
                3 => return Http2::Reset,
                7 => return Http2::GoneAway,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, decided).await.unwrap()
}

/// Whether each request gets this one answer and the end of its connection, though another request
/// stands behind it.
async fn refusals(
    app: &TestApp,
    status: u16,
    rows: Vec<(&'static str, String)>,
) -> Vec<(&'static str, Result<(), String>)> {
    let mut outcomes = Vec::new();
    for (name, request) in rows {
        let next = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
        let answer = exchange(app, format!("{request}{next}")).await;
        outcomes.push((name, answer.is_refusal(status)));
    }
    outcomes
}

//! Each refused token request is counted and told in the log, and nothing of what was sent with it.

use super::{place_with, serve_in};
use crate::support::app::{FORM, answer};

/// Rows of (body with CLIENT for the client's identifier, grant type as it is noted, error). The
/// canary may be in no label and no line.
const ROWS: &[(&str, &str, &str)] = &[
    ("client_id=CLIENT", "other", "invalid_request"),
    (
        "client_id=CLIENT&grant_type=canary",
        "other",
        "unsupported_grant_type",
    ),
    (
        "client_id=CLIENT&grant_type=canary&a=%",
        "other",
        "invalid_request",
    ),
    (
        "grant_type=password&username=canary&password=canary",
        "other",
        "invalid_request",
    ),
    (
        "client_id=CLIENT&grant_type=password&username=canary",
        "password",
        "invalid_request",
    ),
    (
        "client_id=CLIENT&grant_type=password&password=canary",
        "password",
        "invalid_request",
    ),
    (
        "client_id=CLIENT&grant_type=refresh_token&scope=canary",
        "refresh_token",
        "invalid_request",
    ),
    (
        "client_id=CLIENT&grant_type=client_credentials&scope=canary%22",
        "client_credentials",
        "invalid_scope",
    ),
];

#[tokio::test]
async fn a_refused_token_request_is_counted_and_told_without_its_words() {
    let place = place_with(&[("SENTINEL_METRICS_LISTEN", "127.0.0.1:0")]).await;
    let mut served = serve_in(&place, "/oauth").await;
    let line = served.running.line("listening for metrics").await;
    let metrics = format!("http://{}/metrics", line.rsplit_once("address=").unwrap().1);
    for (body, _, error) in ROWS {
        let request = served.http.post(served.url("/token"));
        let body = body.replace("CLIENT", &served.client_id);
        let refused = answer(request.header("content-type", FORM).body(body)).await;
        assert_eq!(refused.error(), *error, "{}", refused.body);
    }
    let counted = answer(served.http.get(metrics)).await.body;
    let log = served.running.read("err");
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("refused"))
        .collect();
    assert_eq!(told.len(), ROWS.len(), "{log}");
    for ((body, grant_type, error), line) in ROWS.iter().zip(told) {
        let fields = format!("grant_type=\"{grant_type}\" oauth.error=\"{error}\"");
        assert!(line.contains(&fields), "{body}: {line}");
        assert!(!line.contains(&served.client_id), "{body}: {line}");
        let is_alike = |row: &&(&str, &str, &str)| (row.1, row.2) == (*grant_type, *error);
        let count = ROWS.iter().filter(is_alike).count();
        let labels = format!("grant_type=\"{grant_type}\",outcome=\"{error}\"");
        let line = format!("token_requests_total{{{labels}}} {count}");
        assert!(counted.lines().any(|own| own == line), "{line}: {counted}");
    }
    assert!(
        !log.contains("canary") && !counted.contains("canary"),
        "{log}"
    );
}

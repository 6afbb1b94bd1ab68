//! Throttling of logins, of client authentications and of the console (OWASP ASVS 6.1.1, 6.3.1;
//! RFC 6585 §4).
//!
//! `SENTINEL_TEST_NAMES` is how many made-up user names are tried.

mod away;
mod clients;
mod console;
mod given_back;
mod logins;
mod names;

use reqwest::RequestBuilder;

use crate::rows::{Asked, check, token_answer_faults};
use crate::support::app::{Answer, FORM, TestApp, answer, spawn_app_with};

/// Limits that a test reaches soon, and a proxy that may tell networks apart.
const LIMITS: [(&str, &str); 3] = [
    ("SENTINEL_THROTTLE_USER", "3"),
    ("SENTINEL_THROTTLE_NETWORK", "6"),
    ("SENTINEL_TRUSTED_PROXIES", "127.0.0.0/8"),
];
/// Networks of documentation (RFC 5737, RFC 3849).
const HERE: &str = "192.0.2.1";
const SAME_NETWORK: &str = "192.0.2.99";
const ELSEWHERE: &str = "198.51.100.7";
const FAR: &str = "2001:db8:1:100::1";

async fn throttled_app() -> TestApp {
    spawn_app_with(&LIMITS).await
}

/// As it comes from a network.
fn from(request: RequestBuilder, network: &str) -> RequestBuilder {
    request.header("x-forwarded-for", network)
}

async fn post(app: &TestApp, network: &str, form: &[(&str, &str)]) -> Answer {
    post_to(app, "/oauth/token", network, form).await
}

async fn post_to(app: &TestApp, path: &str, network: &str, form: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = app.post(path).header("content-type", FORM);
    answer(from(request, network).body(body)).await
}

async fn login(app: &TestApp, network: &str, username: &str, password: &str) -> Answer {
    let form = [
        ("grant_type", "password"),
        ("client_id", app.client_id.as_str()),
        ("username", username),
        ("password", password),
    ];
    post(app, network, &form).await
}

async fn refresh(app: &TestApp, network: &str, token: &str) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", app.client_id.as_str()),
        ("refresh_token", token),
    ];
    post(app, network, &form).await
}

/// So many wrong passwords, none of them refused unseen.
#[track_caller]
fn check_seen(answers: &[Answer]) {
    for answer in answers {
        assert_eq!(answer.error(), "invalid_grant", "{answer:?}");
    }
}

async fn fail(app: &TestApp, network: &str, username: &str, count: usize) {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(login(app, network, username, "wrong").await);
    }
    check_seen(&answers);
}

/// Holds an answer to be 429 with all that an answer of the token endpoint has, and tells after how
/// many seconds to come again.
#[track_caller]
fn check_throttled(name: &'static str, answer: Answer) -> u64 {
    let wait = answer.header("retry-after").parse();
    let asked = Asked {
        name,
        status: 429,
        error: "temporarily_unavailable",
        answer,
    };
    check(&[asked], token_answer_faults);
    let wait: u64 = wait.unwrap_or_else(|_| panic!("{name}: no Retry-After"));
    assert!((1..=900).contains(&wait), "{name}: {wait}");
    wait
}

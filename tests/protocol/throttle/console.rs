//! Logins at the console and its API.

use time::Duration;

use super::{ELSEWHERE, HERE, LIMITS, from, throttled_app};
use crate::support::app::{Answer, CONSOLE, TestApp, answer, spawn_app_with};

const PAGE: &str = "/oauth/management";
const API: &str = "/oauth/management/api/v1/actors";

#[tokio::test]
async fn the_console_is_throttled_by_network() {
    check_console(&throttled_app().await).await;
}

#[tokio::test]
async fn the_console_is_throttled_before_its_password_is_hashed() {
    let hash = bcrypt::hash(CONSOLE.1, 4).unwrap();
    let password = ("SENTINEL_MANAGEMENT_PASSWORD", hash.as_str());
    check_console(&spawn_app_with(&[&LIMITS[..], &[password]].concat()).await).await;
}

async fn check_console(app: &TestApp) {
    for (username, password) in [(CONSOLE.0, "wrong"), ("wrong", CONSOLE.1), ("x", "y")] {
        let refused = ask(app, HERE, PAGE, (username, password)).await;
        assert_eq!(refused.status, 401, "C1 {username}");
    }
    for (path, media_type) in [(PAGE, "text/html"), (API, "application/problem+json")] {
        for credentials in [CONSOLE, (CONSOLE.0, "wrong")] {
            let refused = ask(app, HERE, path, credentials).await;
            assert_eq!(refused.status, 429, "C1 {path}");
            let wait: u64 = refused.header("retry-after").parse().unwrap();
            assert!((1..=900).contains(&wait), "{wait}");
            let found = refused.header("content-type");
            assert!(found.starts_with(media_type), "{found}");
        }
    }
    // The operator is elsewhere, and who has no credentials is asked for them.
    for _ in 0..8 {
        let let_in = ask(app, ELSEWHERE, API, CONSOLE).await;
        assert_eq!(let_in.status, 200, "{}", let_in.body);
    }
    assert_eq!(answer(from(app.get(PAGE), ELSEWHERE)).await.status, 401);
    app.clock.advance(Duration::minutes(15));
    let later = ask(app, HERE, PAGE, CONSOLE).await;
    assert_eq!(later.status, 200, "{}", later.body);
}

async fn ask(
    app: &TestApp,
    network: &str,
    path: &str,
    (username, password): (&str, &str),
) -> Answer {
    let request = app.get(path).basic_auth(username, Some(password));
    answer(from(request, network)).await
}

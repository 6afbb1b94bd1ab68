//! Logins at the console and its API.

use time::Duration;

use super::{ELSEWHERE, HERE, LIMITS, from, throttled_app};
use crate::support::app::{Answer, CONSOLE, TestApp, answer, spawn_app_with};
use crate::support::stores::start_mongod;

/// Credentials that a server remembers to be good.
const REMEMBERED: usize = 16;
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

/// Without MongoDB nothing can be counted, so that only who need not be is let in.
#[tokio::test]
async fn administrators_of_several_networks_are_counted_once_each() {
    let mongod = start_mongod(&[]).await;
    let uri = format!("mongodb://{}", mongod.address());
    let app = spawn_app_with(&[&LIMITS[..], &[("SENTINEL_MONGO_URI", &uri)]].concat()).await;
    let networks: Vec<String> = (0..=REMEMBERED)
        .map(|number| format!("10.0.{number}.1"))
        .collect();
    for network in &networks {
        for _ in 0..2 {
            let let_in = ask(&app, network, API, CONSOLE).await;
            assert_eq!(let_in.status, 200, "{network}: {}", let_in.body);
        }
    }
    drop(mongod);
    for network in &networks[1..] {
        let let_in = ask(&app, network, API, CONSOLE).await;
        assert_eq!(let_in.status, 200, "{network}: {}", let_in.body);
    }
    let forgotten = ask(&app, &networks[0], API, CONSOLE).await;
    assert_eq!(forgotten.status, 503, "{}", forgotten.body);
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

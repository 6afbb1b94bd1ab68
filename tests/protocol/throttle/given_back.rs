//! What is no failure does not count.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use tokio::time::sleep;

use super::{HERE, LIMITS, check_throttled, fail, login, throttled_app};
use crate::support::app::{FORM, TestApp, USER, spawn_app_with};
use crate::support::process::{PATIENCE, PAUSE};
use crate::token_endpoint::raw_collection;

#[tokio::test]
async fn logins_that_succeed_count_for_nothing() {
    let app = throttled_app().await;
    for _ in 0..12 {
        login(&app, HERE, USER.0, USER.1).await.tokens();
        nothing_is_under_way(&app).await;
    }
}

#[tokio::test]
async fn a_login_that_succeeds_forgets_the_failures_of_its_name_but_not_of_the_network() {
    let app = throttled_app().await;
    for _ in 0..3 {
        fail(&app, HERE, USER.0, 2).await;
        nothing_is_under_way(&app).await;
        let own = login(&app, HERE, USER.0, USER.1).await;
        if own.status == 200 {
            nothing_is_under_way(&app).await;
            continue;
        }
        // Its own user does not let anybody guess those of others without end.
        check_throttled("the network", own);
    }
    let other = login(&app, HERE, "anna", "wrong").await;
    check_throttled("the network for another name", other);
}

#[tokio::test]
async fn credentials_that_are_not_looked_at_count_for_nothing() {
    let app = throttled_app().await;
    let long = "x".repeat(257);
    for _ in 0..8 {
        let refused = login(&app, HERE, &long, "wrong").await;
        assert_eq!(refused.error(), "invalid_request");
    }
    login(&app, HERE, USER.0, USER.1).await.tokens();
}

/// A hash of nobody takes as long as a new one, so that these leave before theirs is done.
#[tokio::test]
async fn an_attempt_that_was_given_up_counts_for_nothing() {
    let app = spawn_app_with(&[&LIMITS[..], &[("SENTINEL_BCRYPT_COST", "13")]].concat()).await;
    let form = [
        ("grant_type", "password"),
        ("client_id", app.client_id.as_str()),
        ("username", "nobody"),
        ("password", "wrong"),
    ];
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    for _ in 0..3 {
        let request = app.post("/oauth/token").header("content-type", FORM);
        let request = request.header("x-forwarded-for", HERE).body(body.clone());
        let given_up = request.timeout(Duration::from_millis(100)).send().await;
        assert!(given_up.is_err(), "{given_up:?}");
    }
    nothing_is_under_way(&app).await;
    fail(&app, HERE, "nobody", 3).await;
}

/// Waits until each attempt that was counted is known to have failed, or was given back.
async fn nothing_is_under_way(app: &TestApp) {
    let attempts = raw_collection(app, "attempts").await;
    let under_way = doc! { "$expr": { "$ne": ["$taken", "$failures"] } };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let count = attempts.count_documents(under_way.clone()).await.unwrap();
        if count == 0 {
            return;
        }
        let left: Option<Document> = attempts.find_one(under_way.clone()).await.unwrap();
        assert!(Instant::now() < deadline, "for ever under way: {left:?}");
        sleep(PAUSE).await;
    }
}

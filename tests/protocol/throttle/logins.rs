//! Logins of one user name, and of one network.

use time::Duration;

use super::{
    ELSEWHERE, FAR, HERE, LIMITS, SAME_NETWORK, check_throttled, fail, login, refresh,
    throttled_app,
};
use crate::support::app::{USER, spawn_app_with};

const WINDOW: Duration = Duration::minutes(15);

/// ASVS 6.1.1: too many failures of one user name stop the one who guesses, and nobody else. A name
/// that is nobody's is no exception.
#[tokio::test]
async fn logins_of_one_user_name_are_throttled_in_its_network_alone() {
    let app = throttled_app().await;
    let device = login(&app, HERE, USER.0, USER.1).await.tokens();
    let mut told = Vec::new();
    for (row, username, network) in [
        ("T20 a user", USER.0, HERE),
        ("T20 nobody", "nobody", ELSEWHERE),
    ] {
        fail(&app, network, username, 3).await;
        let refused = login(&app, network, username, USER.1).await;
        let mut headers = refused.headers.clone();
        headers.remove("date");
        headers.remove("retry-after");
        told.push((headers, refused.body.clone()));
        check_throttled(row, refused);
    }
    assert_eq!(
        told[0], told[1],
        "the answer tells whether there is the user"
    );
    let neighbor = login(&app, SAME_NETWORK, USER.0, USER.1).await;
    check_throttled("T20 from the same network", neighbor);
    // The device that has a session keeps it, and logins work from anywhere else.
    let renewed = refresh(&app, HERE, &device.refresh).await.tokens();
    assert_eq!(app.verify(&renewed.access).await.status, 204);
    login(&app, ELSEWHERE, USER.0, USER.1).await.tokens();
    login(&app, FAR, USER.0, USER.1).await.tokens();
    app.add_user("anna", "pass word 2").await;
    login(&app, HERE, "anna", "pass word 2").await.tokens();
    // Another server knows of it, too.
    let sibling = app.sibling_with(&LIMITS).await;
    let refused = login(&sibling, HERE, USER.0, USER.1).await;
    check_throttled("T20 at another server", refused);
    app.clock.advance(WINDOW);
    login(&app, HERE, USER.0, USER.1).await.tokens();
}

/// RFC 6585 §4.
#[tokio::test]
async fn logins_of_one_network_are_throttled_whatever_names_they_try() {
    let app = throttled_app().await;
    let device = login(&app, HERE, USER.0, USER.1).await.tokens();
    for name in ["a", "b", "c", "d", "e", "f"] {
        fail(&app, HERE, name, 1).await;
    }
    for (row, network, name) in [
        ("T21 a new name", HERE, "g"),
        ("T21 a tried name", HERE, "a"),
        ("T21 a user", SAME_NETWORK, USER.0),
    ] {
        check_throttled(row, login(&app, network, name, USER.1).await);
    }
    let renewed = refresh(&app, HERE, &device.refresh).await.tokens();
    assert_eq!(app.verify(&renewed.access).await.status, 204);
    login(&app, ELSEWHERE, USER.0, USER.1).await.tokens();
    app.clock.advance(WINDOW);
    login(&app, HERE, USER.0, USER.1).await.tokens();
}

/// CVE-2025-6004: the count is that of the name as it is looked up, and the network's bounds them
/// all.
#[tokio::test]
async fn names_that_look_alike_are_counted_apart_and_together_by_network() {
    let app = throttled_app().await;
    let alike = [
        "Ren\u{e9}",
        "Rene\u{301}",
        "ren\u{e9}",
        "Ren\u{e9} ",
        "Ren\u{e9}\u{200b}",
    ];
    app.add_user(alike[0], "pass word 2").await;
    fail(&app, HERE, alike[0], 3).await;
    let refused = login(&app, HERE, alike[0], "pass word 2").await;
    check_throttled("T27 as stored", refused);
    for name in &alike[1..4] {
        fail(&app, HERE, name, 1).await;
    }
    let refused = login(&app, HERE, alike[4], "wrong").await;
    check_throttled("T27 the network", refused);
    login(&app, ELSEWHERE, alike[0], "pass word 2")
        .await
        .tokens();
}

/// OWASP ASVS 6.3.1: who is not behind a trusted proxy cannot say where he is.
#[tokio::test]
async fn a_forged_address_makes_no_other_network() {
    let limits = [("SENTINEL_THROTTLE_USER", "3")];
    let app = spawn_app_with(&limits).await;
    for network in [HERE, ELSEWHERE, FAR] {
        fail(&app, network, USER.0, 1).await;
    }
    let refused = login(&app, "203.0.113.5", USER.0, USER.1).await;
    check_throttled("forged", refused);
}

#[tokio::test]
async fn a_limit_of_zero_is_none() {
    let app = spawn_app_with(&[("SENTINEL_THROTTLE_NETWORK", "40")]).await;
    fail(&app, HERE, USER.0, 30).await;
    app.login().await;
}

//! Authentication of clients.

use warp_sentinel::domain::client::ClientType;

use super::{ELSEWHERE, HERE, check_throttled, login, post, post_to, refresh, throttled_app};
use crate::support::app::{Answer, TestApp, USER};

/// CVE-2026-9798: a limit holds whatever the grant.
#[tokio::test]
async fn secrets_are_throttled_by_network() {
    let app = throttled_app().await;
    let device = login(&app, HERE, USER.0, USER.1).await.tokens();
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let grants = ["password", "refresh_token"].into_iter().cycle();
    for (client, grant_type) in [&id, "nobody"].into_iter().cycle().zip(grants).take(6) {
        let refused = authenticate(&app, HERE, (client, "wrong"), grant_type).await;
        assert_eq!(refused.error(), "invalid_client", "{refused:?}");
    }
    for (row, client, secret) in [
        ("T15 a wrong secret", id.as_str(), "wrong"),
        ("T11 an unknown client", "nobody", "wrong"),
    ] {
        let refused = authenticate(&app, HERE, (client, secret), "password").await;
        check_throttled(row, refused);
    }
    // Nobody guesses 256 bits: one client's stale secret does not keep the others of its network out.
    let right = authenticate(&app, HERE, (&id, &secret), "password").await;
    assert_eq!(right.status, 200, "{}", right.body);
    // Without a secret there is nothing to guess.
    let renewed = refresh(&app, HERE, &device.refresh).await.tokens();
    assert_eq!(app.verify(&renewed.access).await.status, 204);
    let (own, network) = ((id.as_str(), secret.as_str()), ELSEWHERE);
    let elsewhere = authenticate(&app, network, own, "password").await;
    assert_eq!(elsewhere.status, 200, "{}", elsewhere.body);
    app.clock.advance(time::Duration::minutes(15));
    let later = authenticate(&app, HERE, own, "password").await;
    assert_eq!(later.status, 200, "{}", later.body);
}

/// No endpoint that takes a secret is a way around the counts of another.
#[tokio::test]
async fn secrets_are_counted_together_wherever_they_are_tried() {
    let app = throttled_app().await;
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let asked = ["/oauth/introspect", "/oauth/revoke", "/oauth/token"];
    for path in asked.into_iter().cycle().take(6) {
        let refused = try_at(&app, path, (&id, "wrong")).await;
        assert_eq!(refused.status, 401, "{path}: {refused:?}");
        assert_eq!(refused.error(), "invalid_client", "{path}: {refused:?}");
    }
    for path in asked {
        check_throttled(path, try_at(&app, path, (&id, "wrong")).await);
        let right = try_at(&app, path, (&id, &secret)).await;
        assert_eq!(right.status, 200, "{path}: {right:?}");
    }
}

async fn try_at(app: &TestApp, path: &str, (id, secret): (&str, &str)) -> Answer {
    let form = [
        ("grant_type", "password"),
        ("client_id", id),
        ("client_secret", secret),
        ("username", USER.0),
        ("password", USER.1),
        ("token", "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W"),
    ];
    post_to(app, path, HERE, &form).await
}

async fn authenticate(
    app: &TestApp,
    network: &str,
    (id, secret): (&str, &str),
    grant_type: &str,
) -> Answer {
    let form = [
        ("grant_type", grant_type),
        ("client_id", id),
        ("client_secret", secret),
        ("username", USER.0),
        ("password", USER.1),
        ("refresh_token", "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W"),
    ];
    post(app, network, &form).await
}

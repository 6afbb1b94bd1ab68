//! `POST /oauth/revoke` (RFC 7009).

use futures_util::future::join_all;
use redis::AsyncCommands;
use warp_sentinel::domain::client::ClientType;

use crate::rows::{CANARY, ask, check, group, token_answer_faults};
use crate::support::app::{Answer, TestApp, Tokens, USER, answer, spawn_app, spawn_app_with};
use crate::support::stores::start_mongod;

const PATH: &str = "/oauth/revoke";

/// Revokes as the app's public client.
async fn revoke(app: &TestApp, token: &str) -> Answer {
    let form = [("client_id", app.client_id.as_str()), ("token", token)];
    answer(app.post_form(PATH, &form)).await
}

async fn login_as(app: &TestApp, (id, secret): &(String, String)) -> Tokens {
    let form = [
        ("grant_type", "password"),
        ("username", USER.0),
        ("password", USER.1),
    ];
    answer(app.post_as("/oauth/token", (id, secret), &form))
        .await
        .tokens()
}

async fn is_in_redis(app: &TestApp, token: &str) -> bool {
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    link.exists(token).await.unwrap()
}

/// RFC 7009 §2.1: both tokens of a grant end with either, everywhere.
#[tokio::test]
async fn a_public_client_ends_its_own_tokens_by_either_of_them() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    for by_refresh in [false, true] {
        let tokens = app.login().await;
        assert_eq!(sibling.verify(&tokens.access).await.status, 204);
        let token = if by_refresh {
            &tokens.refresh
        } else {
            &tokens.access
        };
        let revoked = revoke(&app, token).await;
        assert_eq!(
            (revoked.status.as_u16(), revoked.body.as_str()),
            (200, "{}")
        );
        assert_eq!(revoked.header("content-type"), "application/json");
        assert_eq!(revoked.header("cache-control"), "no-store");
        assert!(!is_in_redis(&app, &tokens.access).await);
        assert_eq!(app.verify(&tokens.access).await.status, 401);
        assert_eq!(app.refresh(&tokens.refresh).await.error(), "invalid_grant");
        let obeyed = std::time::Instant::now();
        while sibling.verify(&tokens.access).await.status != 401 {
            assert!(
                obeyed.elapsed().as_millis() < 250,
                "I9 by refresh: {by_refresh}"
            );
        }
    }
}

/// RFC 7009 §2.2: "invalid tokens do not cause an error response", nor do hints.
#[tokio::test]
async fn what_is_unknown_counts_as_revoked() {
    let app = spawn_app().await;
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let ended = app.login().await;
    assert_eq!(app.revoke(&ended.access).await.status, 204);
    let own = app.client_id.as_str();
    let public = |token: &str| app.post_form(PATH, &[("client_id", own), ("token", token)]);
    let hinted = |hint: &str| {
        let (token, hint) = (("token", ended.access.as_str()), ("token_type_hint", hint));
        app.post_form(PATH, &[("client_id", own), token, hint])
    };
    let rows = vec![
        ("I7 unknown", public(&"x".repeat(30))),
        ("I7 malformed", public("canary7f")),
        ("I7 again", public(&ended.access)),
        ("I7 its refresh token", public(&ended.refresh)),
        ("I10 an unknown hint is ignored", hinted("pickle")),
        ("a wrong hint", hinted("refresh_token")),
        (
            "by Basic",
            app.post_as(PATH, (&id, &secret), &[("token", "x")]),
        ),
    ];
    check(&ask(vec![group(200, "", rows)]).await, token_answer_faults);
}

/// RFC 7009 §2.1: what the hint does not lead to is looked for among all types.
#[tokio::test]
async fn a_wrong_hint_ends_the_token_all_the_same() {
    let app = spawn_app().await;
    let own = ("client_id", app.client_id.as_str());
    for hint in ["access_token", "refresh_token", "pickle"] {
        for by_refresh in [false, true] {
            let tokens = app.login().await;
            let token = if by_refresh {
                &tokens.refresh
            } else {
                &tokens.access
            };
            let form = [own, ("token", token.as_str()), ("token_type_hint", hint)];
            let revoked = answer(app.post_form(PATH, &form)).await;
            assert_eq!(revoked.status, 200, "{hint}, by refresh: {by_refresh}");
            let verified = app.verify(&tokens.access).await;
            assert_eq!(verified.status, 401, "{hint}, by refresh: {by_refresh}");
        }
    }
}

/// RFC 7009 §2.2.1: after a 503 the client takes the token to live, and asks again.
#[tokio::test]
async fn what_could_not_be_revoked_is_told_as_not_done() {
    let mongod = start_mongod(&[]).await;
    let uri = format!("mongodb://{}", mongod.address());
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &uri)]).await;
    let tokens = app.login().await;
    drop(mongod);
    let own = app.client_id.as_str();
    let end = |token: &str| app.post_form(PATH, &[("client_id", own), ("token", token)]);
    let rows = vec![
        ("I11 an access token", end(&tokens.access)),
        ("I11 a refresh token", end(&tokens.refresh)),
        ("I11 an unknown one", end(&"x".repeat(30))),
    ];
    let rows = vec![group(503, "temporarily_unavailable", rows)];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 7009 §2, §2.1.
#[tokio::test]
async fn who_does_not_authenticate_or_name_a_token_is_refused() {
    let app = spawn_app().await;
    let (id, _) = app.add_client(ClientType::Confidential).await;
    let (id, own) = (id.as_str(), app.client_id.as_str());
    let named = |form: &[(&str, &str)]| {
        let mut form = form.to_vec();
        form.push(("token", "x"));
        app.post_form(PATH, &form)
    };
    let wrong = named(&[("client_id", id), ("client_secret", CANARY)]);
    let unauthenticated = vec![
        ("I1 a wrong secret", wrong),
        ("I1 no secret", named(&[("client_id", id)])),
        ("I1 an unknown client", named(&[("client_id", CANARY)])),
    ];
    let malformed = vec![
        ("no client", named(&[])),
        ("no token", app.post_form(PATH, &[("client_id", own)])),
    ];
    let get = app.get(&format!("{PATH}?token=x"));
    let rows = vec![
        group(401, "invalid_client", unauthenticated),
        group(400, "invalid_request", malformed),
        group(405, "invalid_request", vec![("I2 GET", get)]),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 7009 §2.1: "the token was issued to the client making the revocation request".
#[tokio::test]
async fn another_clients_token_is_refused_and_lives_on() {
    let app = spawn_app().await;
    let theirs = app.add_client(ClientType::Confidential).await;
    let tokens = login_as(&app, &theirs).await;
    for token in [&tokens.access, &tokens.refresh] {
        let refused = revoke(&app, token).await;
        assert_eq!(refused.status, 400, "I8");
        assert_eq!(refused.error(), "unauthorized_client");
        assert_eq!(app.verify(&tokens.access).await.status, 204);
        assert!(is_in_redis(&app, &tokens.access).await);
    }
    let form = [("token", tokens.refresh.as_str())];
    let revoked = answer(app.post_as(PATH, (&theirs.0, &theirs.1), &form)).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(app.verify(&tokens.access).await.status, 401);
}

/// A spent refresh token of another client tells nobody of its family, and ends nothing.
#[tokio::test]
async fn another_clients_spent_refresh_token_ends_nothing() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    let theirs = app.add_client(ClientType::Confidential).await;
    let form = [("token", first.refresh.as_str())];
    let refused = answer(app.post_as(PATH, (&theirs.0, &theirs.1), &form)).await;
    assert_eq!(refused.error(), "unauthorized_client");
    assert_eq!(app.verify(&second.access).await.status, 204);
}

/// I13: after the 200 no descendant of the token is good, whatever was rotated at the time.
#[tokio::test]
async fn no_rotation_slips_through_a_revocation() {
    let app = spawn_app().await;
    let sibling = app.sibling_with(&[]).await;
    for _ in 0..10 {
        let tokens = app.login().await;
        let refreshes = (0..6).map(|index| {
            let server = if index % 2 == 0 { &app } else { &sibling };
            server.refresh(&tokens.refresh)
        });
        let (ended, pairs) = tokio::join!(revoke(&app, &tokens.refresh), join_all(refreshes));
        assert_eq!(ended.status, 200, "{}", ended.body);
        let granted = pairs.iter().filter(|answer| answer.status == 200);
        for pair in granted.map(Answer::tokens).chain([tokens]) {
            assert!(!is_in_redis(&app, &pair.access).await);
            assert_eq!(app.verify(&pair.access).await.status, 401);
            let again = sibling.refresh(&pair.refresh).await;
            assert_eq!(again.error(), "invalid_grant", "{}", again.body);
        }
    }
}

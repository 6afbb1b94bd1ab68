//! `POST /oauth/introspect` (RFC 7662).

use serde_json::json;
use time::Duration;
use warp_sentinel::domain::client::policy::Introspection;
use warp_sentinel::domain::client::{ClientType, GrantType};

use crate::rows::{CANARY, ask, check, group, token_answer_faults};
use crate::support::app::{Answer, TestApp, answer, spawn_app, spawn_app_with};
use crate::support::stores::start_mongod;

const PATH: &str = "/oauth/introspect";
const ISSUER: &str = "https://sentinel.example";

/// A resource server: a client that may introspect everyone's tokens.
async fn resource_server(app: &TestApp) -> (String, String) {
    let any = |client: &mut warp_sentinel::domain::client::Client| {
        client.policy.introspection = Introspection::Any;
        client.allowed_grant_types = vec![GrantType::ClientCredentials];
    };
    app.add_client_with(ClientType::Confidential, any).await
}

async fn introspect(app: &TestApp, (id, secret): &(String, String), token: &str) -> Answer {
    answer(app.post_as(PATH, (id, secret), &[("token", token)])).await
}

/// RFC 7662 §2.2.
#[tokio::test]
async fn a_resource_server_is_told_all_of_an_access_token_and_nothing_of_a_refresh_token() {
    let app = spawn_app_with(&[("SENTINEL_ISSUER", ISSUER)]).await;
    let resource = resource_server(&app).await;
    let tokens = app.login().await;
    let now = app.clock.now().unix_timestamp();
    let told = introspect(&app, &resource, &tokens.access).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("content-type"), "application/json");
    assert_eq!(told.header("cache-control"), "no-store");
    let body = told.json();
    let user_id = app.verify(&tokens.access).await;
    let issued_at = body["iat"].as_i64().unwrap();
    assert!((now - 2..=now).contains(&issued_at), "{issued_at} {now}");
    let expected = json!({
        "active": true,
        "scope": "read",
        "client_id": app.client_id,
        "username": "jonas",
        "sub": user_id.header("x-user-id"),
        "token_type": "Bearer",
        "exp": issued_at + 3_600,
        "iat": issued_at,
        "iss": ISSUER,
    });
    assert_eq!(body, expected);
    // Who takes any active token for a bearer token must not take this one.
    let told = introspect(&app, &resource, &tokens.refresh).await;
    assert_eq!(told.body, r#"{"active":false}"#);
}

/// RFC 7662 §2.2: a refresh token, to the client that it was issued to.
#[tokio::test]
async fn a_client_is_told_of_its_own_refresh_token_until_it_is_spent() {
    let app = spawn_app().await;
    let own = app.add_client(ClientType::Confidential).await;
    let form = [
        ("grant_type", "password"),
        ("username", "jonas"),
        ("password", "pass word 1"),
    ];
    let issued = answer(app.post_as("/oauth/token", (&own.0, &own.1), &form)).await;
    let tokens = issued.tokens();
    let body = introspect(&app, &own, &tokens.refresh).await.json();
    let issued_at = body["iat"].as_i64().unwrap();
    let sub = app.verify(&tokens.access).await;
    let expected = json!({
        "active": true,
        "scope": "read",
        "client_id": own.0,
        "username": "jonas",
        "sub": sub.header("x-user-id"),
        "exp": issued_at + 30 * 24 * 3_600,
        "iat": issued_at,
    });
    assert_eq!(body, expected);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.refresh),
    ];
    let spent = answer(app.post_as("/oauth/token", (&own.0, &own.1), &form)).await;
    assert_eq!(spent.status, 200, "{}", spent.body);
    for ended in [&tokens.refresh, &tokens.access] {
        let told = introspect(&app, &own, ended).await;
        assert_eq!(told.body, r#"{"active":false}"#);
    }
}

/// RFC 7662 §2.1, §2.3, §4.
#[tokio::test]
async fn nobody_but_an_authenticated_confidential_client_may_ask() {
    let app = spawn_app().await;
    let (id, secret) = resource_server(&app).await;
    let (id, secret) = (id.as_str(), secret.as_str());
    let token = app.login().await.access;
    let ask_with = |form: &[(&str, &str)]| {
        let mut form = form.to_vec();
        form.push(("token", &token));
        app.post_form(PATH, &form)
    };
    let named = |id: &str| ask_with(&[("client_id", id)]);
    let by_post = |secret: &str| ask_with(&[("client_id", id), ("client_secret", secret)]);
    let header = ("authorization", "Basic !canary7f!");
    let refused = vec![
        ("I1 a wrong secret", by_post(CANARY)),
        ("I1 no secret", named(id)),
        ("I1 an unknown client", named(CANARY)),
        ("I1 no Basic", ask_with(&[]).header(header.0, header.1)),
        ("I1 a bearer token", ask_with(&[]).bearer_auth(&token)),
        ("I2 a public client", named(&app.client_id)),
    ];
    let callback = [("token", token.as_str()), ("callback", "alert")];
    let by_basic = |form: &[(&str, &str)]| app.post_as(PATH, (id, secret), form);
    let told = vec![
        ("by Basic", by_basic(&[("token", &token)])),
        ("by post", by_post(secret)),
        ("I14 callback is ignored", by_basic(&callback)),
    ];
    let rows = vec![group(401, "invalid_client", refused), group(200, "", told)];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 7662 §2.1.
#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused() {
    let app = spawn_app().await;
    let (id, secret) = resource_server(&app).await;
    let by_basic = |path: &str, form: &[(&str, &str)]| app.post_as(path, (&id, &secret), form);
    let method = |method: &str| {
        let url = format!("{}{PATH}", app.url);
        app.http.request(method.parse().unwrap(), url)
    };
    let in_query = format!("{PATH}?token=x");
    let json = app.post(PATH).basic_auth(&id, Some(&secret));
    let malformed = vec![
        ("no client", app.post_form(PATH, &[("token", "x")])),
        ("no token", by_basic(PATH, &[("x", "y")])),
        ("an empty token", by_basic(PATH, &[("token", "")])),
        ("a token in the query", by_basic(&in_query, &[("x", "y")])),
        ("JSON", json.json(&json!({"token": "x"}))),
    ];
    let methods = vec![("I2 GET", method("GET")), ("I2 PUT", method("PUT"))];
    let rows = vec![
        group(400, "invalid_request", malformed),
        group(405, "invalid_request", methods),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 7662 §2.2: "the authorization server SHOULD NOT include any additional information about an
/// inactive token".
#[tokio::test]
async fn of_a_token_that_is_not_active_nothing_else_is_told() {
    let app = spawn_app().await;
    let resource = resource_server(&app).await;
    let stranger = app.add_client(ClientType::Confidential).await;
    let (revoked, spent) = (app.login().await, app.login().await);
    assert_eq!(app.revoke(&revoked.access).await.status, 204);
    let live = app.refresh(&spent.refresh).await.tokens();
    let unknown = "x".repeat(30);
    let longer = format!("{}a", live.access);
    let rows = [
        ("I4 unknown", &resource, unknown.as_str()),
        ("I4 malformed", &resource, "no token"),
        ("I4 truncated", &resource, &live.access[1..]),
        ("I4 longer", &resource, longer.as_str()),
        ("I4 revoked", &resource, &revoked.access),
        ("I4 revoked with its pair", &resource, &revoked.refresh),
        ("I4 a used refresh token", &resource, &spent.refresh),
        ("I4 what it replaced", &resource, &spent.access),
        ("I4 another client's", &stranger, &live.access),
        (
            "I4 another client's refresh token",
            &stranger,
            &live.refresh,
        ),
    ];
    for (name, caller, token) in rows {
        let told = introspect(&app, caller, token).await;
        assert_eq!(
            (told.status.as_u16(), told.body.as_str()),
            (200, r#"{"active":false}"#),
            "{name}"
        );
    }
    let told = introspect(&app, &resource, &live.access).await;
    assert_eq!(told.json()["active"], true);
    app.clock.advance(Duration::seconds(3_600));
    let told = introspect(&app, &resource, &live.access).await;
    assert_eq!(told.body, r#"{"active":false}"#, "I4 expired");
}

/// The hint may be wrong, unknown, or absent: it changes nothing (RFC 7662 §2.1).
#[tokio::test]
async fn a_hint_helps_nobody_and_hinders_nobody() {
    let app = spawn_app().await;
    let (id, secret) = resource_server(&app).await;
    let token = app.login().await.access;
    for hint in ["access_token", "refresh_token", "pickle", ""] {
        let form = [("token", token.as_str()), ("token_type_hint", hint)];
        let told = answer(app.post_as(PATH, (&id, &secret), &form)).await;
        assert_eq!(told.json()["active"], true, "{hint}");
    }
}

/// OWASP ASVS 16.5.2: that nobody can be asked is not that the token is dead.
#[tokio::test]
async fn without_the_truth_no_token_is_told_to_be_dead() {
    let mongod = start_mongod(&[]).await;
    let uri = format!("mongodb://{}", mongod.address());
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &uri)]).await;
    let resource = resource_server(&app).await;
    let tokens = app.login().await;
    assert_eq!(
        introspect(&app, &resource, &tokens.access).await.json()["active"],
        true
    );
    drop(mongod);
    // The client is known for a second: I6 is about the token.
    for token in [&"x".repeat(30), &tokens.refresh] {
        let told = introspect(&app, &resource, token).await;
        assert_eq!(told.status, 503, "{}", told.body);
        assert_eq!(told.error(), "temporarily_unavailable");
        assert!(!told.header("retry-after").is_empty());
    }
}

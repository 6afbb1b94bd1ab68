//! `grant_type=client_credentials` (RFC 6749 §4.4), and that such a token is never a user's.

use std::time::Duration;

use redis::AsyncCommands;
use serde_json::json;
use tokio::time::Instant;
use warp_sentinel::domain::client::policy::Introspection;
use warp_sentinel::domain::client::{Client, ClientType, GrantType};

use crate::rows::{ask, check, group, token_answer_faults};
use crate::support::app::{Answer, AsConsole, TestApp, answer, spawn_app};

fn for_itself(client: &mut Client) {
    client.allowed_grant_types = vec![GrantType::ClientCredentials, GrantType::RefreshToken];
    client.policy.introspection = Introspection::Any;
}

async fn ask_for(app: &TestApp, (id, secret): &(String, String), scope: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    answer(app.post_as("/oauth/token", (id, secret), &form)).await
}

fn access(issued: &Answer) -> String {
    assert_eq!(issued.status, 200, "{}", issued.body);
    issued.json()["access_token"].as_str().unwrap().to_owned()
}

/// RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included."
#[tokio::test]
async fn a_confidential_client_gets_an_access_token_alone_and_as_many_as_it_asks_for() {
    let app = spawn_app().await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    let issued = ask_for(&app, &own, "").await;
    let first = access(&issued);
    let expected = json!({
        "access_token": first, "expires_in": 3_600, "token_type": "Bearer", "scope": "read",
    });
    assert_eq!(issued.json(), expected);
    let second = access(&ask_for(&app, &own, "write").await);
    for (token, scope) in [(&first, "read"), (&second, "write")] {
        let verified = app.verify(token).await;
        assert_eq!(verified.status, 204);
        assert_eq!(verified.header("x-client-id"), own.0);
        assert_eq!(verified.header("x-scope"), scope);
        for absent in ["x-user-id", "x-username"] {
            assert!(!verified.headers.contains_key(absent), "R13 {absent}");
        }
    }
}

/// RFC 6749 §4.4: "MUST only be used by confidential clients".
#[tokio::test]
async fn who_may_not_ask_for_itself_is_refused() {
    let app = spawn_app().await;
    let public = app.add_client_with(ClientType::Public, for_itself).await;
    let users_only = app.add_client(ClientType::Confidential).await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    let grant = ("grant_type", "client_credentials");
    let by_name = |id: &str| app.post_form("/oauth/token", &[grant, ("client_id", id)]);
    let scoped =
        |scope: &str| app.post_as("/oauth/token", (&own.0, &own.1), &[grant, ("scope", scope)]);
    let users_only = app.post_as("/oauth/token", (&users_only.0, &users_only.1), &[grant]);
    let rows = vec![
        group(
            400,
            "unauthorized_client",
            vec![
                ("T18 a public client", by_name(&public.0)),
                ("T18 one of users", by_name(&app.client_id)),
                ("T17 a confidential client of users", users_only),
            ],
        ),
        group(
            401,
            "invalid_client",
            vec![("T15 without its secret", by_name(&own.0))],
        ),
        group(
            400,
            "invalid_scope",
            vec![("T29 more than it may", scoped("read admin"))],
        ),
        group(200, "", vec![("all it may", scoped("read write"))]),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// CVE-2026-39976: a client's token opens nothing that is a user's.
#[tokio::test]
async fn where_a_user_is_needed_it_is_forbidden() {
    let app = spawn_app().await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    let token = access(&ask_for(&app, &own, "").await);
    assert_eq!(app.endpoint(&token).await.status, 200);
    let refused = answer(app.get("/own").bearer_auth(&token)).await;
    assert_eq!(refused.status, 403, "R13");
    let challenge = refused.header("www-authenticate");
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    let user = app.login().await.access;
    let told = answer(app.get("/own").bearer_auth(&user)).await;
    assert_eq!((told.status.as_u16(), told.body.as_str()), (200, "jonas"));
    let proxied = |query: &str, token: &str| {
        let path = format!("/oauth/verify?{query}");
        answer(app.get(&path).bearer_auth(token))
    };
    assert_eq!(proxied("user=required", &token).await.status, 403);
    assert_eq!(proxied("user=required", &user).await.status, 204);
    assert_eq!(proxied("user=perhaps", &user).await.status, 403);
}

/// A program that reads Redis takes the bearer of any key for a user.
#[tokio::test]
async fn no_key_of_redis_names_it_however_it_is_used() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    let token = access(&ask_for(&app, &own, "").await);
    for server in [&app, &sibling] {
        for _ in 0..3 {
            assert_eq!(server.verify(&token).await.status, 204);
        }
    }
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    // Servers look for live tokens that Redis lost.
    let () = redis::cmd("FLUSHDB").query_async(&mut link).await.unwrap();
    let user = app.login().await.access;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.verify(&token).await.status, 204);
    let keys: Vec<String> = link.keys("*").await.unwrap();
    assert!(keys.contains(&user), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains(&token)), "{keys:?}");
}

/// It is not in Redis, which therefore tells nobody of its end; nor does it take longer for that.
#[tokio::test]
async fn its_end_is_obeyed_by_every_server_within_250_ms() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    for _ in 0..5 {
        let token = access(&ask_for(&app, &own, "").await);
        for server in [&app, &sibling] {
            assert_eq!(server.verify(&token).await.status, 204);
        }
        let form = [("token", token.as_str())];
        let revoked = answer(app.post_as("/oauth/revoke", (&own.0, &own.1), &form)).await;
        assert_eq!(revoked.status, 200);
        let revoked_at = Instant::now();
        assert_eq!(app.verify(&token).await.status, 401);
        while sibling.verify(&token).await.status != 401 {
            assert!(revoked_at.elapsed() < Duration::from_millis(250));
        }
    }
}

/// CVE-2024-46999: what a client got for itself ends with the client.
#[tokio::test]
async fn it_ends_with_its_client_on_every_server() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    let tokens = [
        access(&ask_for(&app, &own, "").await),
        access(&ask_for(&sibling, &own, "write").await),
    ];
    for token in &tokens {
        for server in [&app, &sibling] {
            assert_eq!(server.verify(token).await.status, 204);
        }
    }
    let url = format!("{}/oauth/management/api/v1/clients/{}", app.url, own.0);
    let disabled = app.http.patch(url).with_console_credentials();
    let disabled = answer(disabled.json(&json!({ "disabled": true }))).await;
    assert_eq!(disabled.status, 200, "{}", disabled.body);
    let disabled_at = Instant::now();
    for token in &tokens {
        for server in [&app, &sibling] {
            while server.verify(token).await.status != 401 {
                assert!(disabled_at.elapsed() < Duration::from_millis(250));
            }
        }
    }
    for server in [&app, &sibling] {
        let refused = ask_for(server, &own, "").await;
        assert_eq!(refused.error(), "invalid_client", "{}", refused.body);
    }
}

/// RFC 7662 §2.2: `sub` and `username` are the resource owner's, of whom there is none.
#[tokio::test]
async fn introspection_names_its_client_and_no_user() {
    let app = spawn_app().await;
    let own = app
        .add_client_with(ClientType::Confidential, for_itself)
        .await;
    let token = access(&ask_for(&app, &own, "").await);
    let form = [("token", token.as_str())];
    let told = answer(app.post_as("/oauth/introspect", (&own.0, &own.1), &form)).await;
    let body = told.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["active", "client_id", "exp", "iat", "scope", "token_type"]
    );
    assert_eq!(body["client_id"], own.0);
}

//! Users and clients are disabled, deleted and signed out, on two servers over one MongoDB and one
//! Redis (CVE-2023-22492, CVE-2024-46999: grants that outlive it).

mod embedded;
mod races;
mod refused;
mod secrets;
mod strange;

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use reqwest::Method;
use serde_json::{Value, json};
use warp_sentinel::domain::client::{ClientId, ClientType};
use warp_sentinel::domain::standing::SessionsOf;
use warp_sentinel::domain::user::UserId;
use warp_sentinel::stores::users_and_clients::UserChange;

use crate::support::app::{Answer, AsConsole, TestApp, Tokens, USER, answer, spawn_app};

/// Within this an end is in force on every server, and for programs that read Redis.
const IN_FORCE: Duration = Duration::from_millis(250);
const NEW_PASSWORD: &str = "another pass 2";

/// Two servers that share all.
struct Pair {
    app: TestApp,
    sibling: TestApp,
    user: UserId,
}

impl Pair {
    async fn start() -> Self {
        let app = spawn_app().await;
        let sibling = app.sibling_with(&[]).await;
        let user = app.truth.users.find_user(USER.0).await.unwrap().unwrap().id;
        Self { app, sibling, user }
    }

    /// Asks the management API of the first server.
    async fn order(&self, method: Method, path: &str, body: Value) -> Answer {
        let url = format!("{}/oauth/management/api/v1/{path}", self.app.url);
        let request = self.app.http.request(method, url);
        answer(request.with_console_credentials().json(&body)).await
    }

    async fn patch_user(&self, body: Value) -> Answer {
        self.order(Method::PATCH, &format!("users/{}", self.user), body)
            .await
    }

    /// A login that both servers have in their local copies.
    async fn known_login(&self) -> Tokens {
        let tokens = self.app.login().await;
        for server in [&self.app, &self.sibling] {
            for _ in 0..2 {
                assert_eq!(server.verify(&tokens.access).await.status, 204);
            }
        }
        tokens
    }

    /// Holds that these tokens are dead on both servers within the time that is promised, counted
    /// from now, and that Redis has none of them.
    async fn are_dead(&self, tokens: &[Tokens], what: &str) {
        let by = Instant::now() + IN_FORCE;
        let mut redis = self.redis().await;
        for server in [&self.app, &self.sibling] {
            for pair in tokens {
                while server.verify(&pair.access).await.status != 401 {
                    assert!(Instant::now() < by, "{what}: a token is accepted");
                }
            }
        }
        for pair in tokens {
            let keys = [pair.access.clone(), format!("sentinel:{{{}}}", pair.access)];
            let left: usize = redis::cmd("EXISTS")
                .arg(&keys)
                .query_async(&mut redis)
                .await
                .unwrap();
            assert_eq!(left, 0, "{what}: Redis has a key");
        }
        for server in [&self.app, &self.sibling] {
            for pair in tokens {
                let refused = server.refresh(&pair.refresh).await.error();
                let is_refused = ["invalid_grant", "invalid_client"].contains(&refused.as_str());
                assert!(is_refused, "{what}: {refused:?}");
            }
        }
    }

    async fn redis(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.app.redis_url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// How many keys Redis has.
    async fn keys(&self) -> usize {
        let mut redis = self.redis().await;
        redis::cmd("DBSIZE").query_async(&mut redis).await.unwrap()
    }

    async fn pairs(&self, of: SessionsOf) -> usize {
        let tokens = &self.app.truth.tokens;
        tokens.list_sessions(&of, None, 1_000).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_disabled_user_is_out_everywhere_until_enabled() {
    let pair = Pair::start().await;
    let tokens = pair.known_login().await;
    let disabled = pair.patch_user(json!({ "disabled": true })).await;
    assert_eq!(disabled.status, 200, "{}", disabled.body);
    assert_eq!(disabled.json()["disabled"], true);
    pair.are_dead(&[tokens], "disabled").await;
    assert_eq!(pair.pairs(SessionsOf::User(pair.user)).await, 0);
    for server in [&pair.app, &pair.sibling] {
        let refused = server.login_as(USER.0, USER.1).await;
        assert_eq!(
            (refused.status.as_u16(), refused.error().as_str()),
            (400, "invalid_grant")
        );
    }
    // Again is as once.
    assert_eq!(
        pair.patch_user(json!({ "disabled": true })).await.status,
        200
    );
    let enabled = pair.patch_user(json!({ "disabled": false })).await;
    assert_eq!(enabled.json()["disabled"], false);
    let tokens = pair.sibling.login().await;
    assert_eq!(pair.app.verify(&tokens.access).await.status, 204);
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_began() {
    let pair = Pair::start().await;
    let tokens = pair.known_login().await;
    for refused in ["short", &"p".repeat(72)] {
        let refused = pair.patch_user(json!({ "password": refused })).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
    }
    assert_eq!(pair.app.verify(&tokens.access).await.status, 204);
    let changed = pair.patch_user(json!({ "password": NEW_PASSWORD })).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert!(!changed.body.contains("pass"), "{}", changed.body);
    pair.are_dead(&[tokens], "new password").await;
    for server in [&pair.app, &pair.sibling] {
        let refused = server.login_as(USER.0, USER.1).await;
        assert_eq!(refused.error(), "invalid_grant");
        let tokens = server.login_as(USER.0, NEW_PASSWORD).await.tokens();
        assert_eq!(pair.app.verify(&tokens.access).await.status, 204);
    }
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_all_tokens_and_the_name_is_free() {
    let pair = Pair::start().await;
    let tokens = pair.known_login().await;
    let path = format!("users/{}", pair.user);
    let deleted = pair.order(Method::DELETE, &path, json!({})).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.as_str()), (204, ""));
    pair.are_dead(&[tokens], "deleted").await;
    assert_eq!(pair.keys().await, 0);
    let again = pair.order(Method::DELETE, &path, json!({})).await;
    assert_eq!(again.status, 404, "{}", again.body);
    let named_again = pair.app.add_user(USER.0, USER.1).await;
    assert_ne!(named_again.id, pair.user);
    pair.sibling.login().await;
}

#[tokio::test]
async fn a_repeat_finishes_a_deletion_that_left_tokens() {
    let pair = Pair::start().await;
    let tokens = pair.known_login().await;
    // As if the server had died: the record is gone, and neither the pair nor Redis was touched.
    let change = UserChange {
        is_disabled: Some(true),
        ..UserChange::default()
    };
    let disabled = pair.app.truth.users.update_user(pair.user, &change).await;
    let sessions_ended = disabled.unwrap().unwrap().sessions_ended;
    let users = &pair.app.truth.users;
    assert!(users.delete_user(pair.user, sessions_ended).await.unwrap());
    assert!(pair.keys().await > 0);
    let path = format!("users/{}", pair.user);
    let repeated = pair.order(Method::DELETE, &path, json!({})).await;
    assert_eq!(repeated.status, 204, "{}", repeated.body);
    pair.are_dead(&[tokens], "deleted before").await;
    assert_eq!(pair.keys().await, 0);
    let again = pair.order(Method::DELETE, &path, json!({})).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn a_client_is_disabled_enabled_and_deleted() {
    let pair = Pair::start().await;
    let client = format!("clients/{}", pair.app.client_id);
    let first = pair.known_login().await;
    let disabled = pair
        .order(Method::PATCH, &client, json!({ "disabled": true }))
        .await;
    assert_eq!(disabled.status, 200, "{}", disabled.body);
    pair.are_dead(&[first], "client disabled").await;
    for server in [&pair.app, &pair.sibling] {
        let refused = server.login_as(USER.0, USER.1).await;
        assert_eq!(refused.error(), "invalid_client");
    }
    let enabled = pair
        .order(Method::PATCH, &client, json!({ "disabled": false }))
        .await;
    assert_eq!(enabled.json()["disabled"], false);
    let second = pair.known_login().await;
    let deleted = pair.order(Method::DELETE, &client, json!({})).await;
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    pair.are_dead(&[second], "client deleted").await;
    assert_eq!(pair.keys().await, 0);
    // The other server may know it for a second yet, and still gives nothing to it.
    for server in [&pair.app, &pair.sibling] {
        let refused = server.login_as(USER.0, USER.1).await;
        assert_eq!(refused.error(), "invalid_client");
    }
    let id = ClientId::new(&pair.app.client_id);
    assert_eq!(pair.pairs(SessionsOf::Client(id)).await, 0);
    let again = pair.order(Method::DELETE, &client, json!({})).await;
    assert_eq!(again.status, 404, "{}", again.body);
}

#[tokio::test]
async fn all_tokens_of_a_user_a_client_or_everyone_end_and_nobody_elses() {
    let pair = Pair::start().await;
    let other_client = pair.app.add_client(ClientType::Public).await.0;
    pair.app.add_user("anna", USER.1).await;
    let login = async |client: &str, name: &str| {
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", name),
            ("password", USER.1),
        ];
        pair.app.token(&form).await.tokens()
    };
    let own = pair.app.client_id.clone();
    let rows = [
        (
            json!({ "user_id": pair.user.to_string() }),
            [true, true, false, false],
        ),
        (
            json!({ "client_id": other_client }),
            [false, true, false, true],
        ),
        (json!({ "everyone": true }), [true, true, true, true]),
    ];
    for (body, is_ended) in rows {
        let tokens = [
            login(&own, USER.0).await,
            login(&other_client, USER.0).await,
            login(&own, "anna").await,
            login(&other_client, "anna").await,
        ];
        let ended = pair
            .order(Method::POST, "tokens/revoke-all", body.clone())
            .await;
        assert_eq!(ended.status, 204, "{body}: {}", ended.body);
        for (tokens, is_ended) in tokens.iter().zip(is_ended) {
            let expected = if is_ended { 401 } else { 204 };
            for server in [&pair.app, &pair.sibling] {
                let verified = server.verify(&tokens.access).await.status;
                assert_eq!(verified, expected, "{body}");
            }
        }
    }
    assert_eq!(pair.keys().await, 0);
    assert_eq!(pair.pairs(SessionsOf::Everyone).await, 0);
    // Who logs in afterwards is let in, on both servers at once.
    for server in [&pair.sibling, &pair.app] {
        let tokens = server.login().await;
        assert_eq!(server.verify(&tokens.access).await.status, 204);
    }
}

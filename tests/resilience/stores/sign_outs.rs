//! A user is disabled, or everyone signed out, while a store is away (reliability row C15): it is not
//! told as done before both stores have it, and its repeat finishes it.

use ::redis::AsyncCommands;
use reqwest::Method;
use serde_json::{Value, json};

use super::*;
use crate::support::app::{AsConsole, USER, answer};

impl Bench {
    async fn order(&self, method: Method, path: &str, body: &Value) -> Answer {
        let url = format!("{}/oauth/management/api/v1/{path}", self.app.url);
        let request = self.app.http.request(method, url);
        answer(request.with_console_credentials().json(body)).await
    }

    async fn user(&self) -> String {
        let user = self.app.truth.users.find_user(USER.0).await.unwrap();
        format!("users/{}", user.unwrap().id)
    }
}

#[tokio::test]
async fn without_redis_nothing_is_told_as_ended_and_a_repeat_ends_it() {
    let bench = bench().await;
    let mut raw = bench.raw_redis().await;
    let tokens = bench.app.login().await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
    let user = bench.user().await;
    let everyone = json!({ "everyone": true });
    let disabled = json!({ "disabled": true });
    let orders = [
        (Method::PATCH, user.as_str(), &disabled),
        (Method::POST, "tokens/revoke-all", &everyone),
        (Method::DELETE, &user, &disabled),
    ];
    bench.redis.cut();
    bench.becomes("degraded").await;
    // Again and again: what it began is no reason to call it done.
    for (method, path, body) in orders.iter().chain(&orders) {
        let refused = bench.order(method.clone(), path, body).await;
        assert_eq!(refused.status, 503, "{path}: {}", refused.body);
        assert_eq!(refused.header("retry-after"), "1");
    }
    // In the truth it has happened, and this server knows.
    assert_eq!(bench.verify(&tokens.access).await, 401);
    let refused = bench.app.login_as(USER.0, USER.1).await;
    assert_eq!(refused.error(), "invalid_grant");
    assert_eq!(raw.exists::<_, usize>(&tokens.access).await.unwrap(), 1);
    bench.redis.open();
    bench.becomes("ready").await;
    for (method, path, body) in &orders {
        let done = bench.order(method.clone(), path, body).await;
        assert!(done.status.is_success(), "{path}: {}", done.body);
        assert_eq!(raw.exists::<_, usize>(&tokens.access).await.unwrap(), 0);
    }
    let gone = bench.order(Method::GET, &user, &json!({})).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn without_mongodb_nothing_changes() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
    let user = bench.user().await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
    bench.mongo.cut();
    for (method, path, body) in [
        (Method::PATCH, user.as_str(), json!({ "disabled": true })),
        (
            Method::PATCH,
            &user,
            json!({ "password": "another pass 2" }),
        ),
        (Method::DELETE, &user, json!({})),
        (
            Method::POST,
            "tokens/revoke-all",
            json!({ "everyone": true }),
        ),
        (Method::POST, "clients/x/secrets", json!({})),
    ] {
        let started = Instant::now();
        let refused = bench.order(method, path, &body).await;
        assert_eq!(refused.status, 503, "{path}: {}", refused.body);
        assert!(started.elapsed() < TOKEN_DEADLINE, "{path}");
    }
    assert_eq!(bench.verify(&tokens.access).await, 204);
    bench.mongo.open();
    bench.becomes("ready").await;
    let told = bench.order(Method::GET, &user, &json!({})).await;
    assert_eq!(told.json()["disabled"], false);
    assert_eq!(bench.verify(&tokens.access).await, 204);
    bench.app.login().await;
}

//! A confidential client gets a new secret while its servers still use the old one.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use warp_sentinel::domain::client::ClientType;

use super::Pair;
use crate::support::app::{Answer, FORM, TestApp, USER, answer};

async fn login(server: &TestApp, client: &str, secret: &str) -> Answer {
    let form = format!(
        "grant_type=password&username={}&password=pass+word+1",
        USER.0
    );
    let request = server.post("/oauth/token").basic_auth(client, Some(secret));
    answer(request.header("content-type", FORM).body(form)).await
}

impl Pair {
    async fn works(&self, client: &str, secrets: &[(&str, bool)]) {
        for server in [&self.app, &self.sibling] {
            for (secret, is_good) in secrets {
                let status = login(server, client, secret).await.status.as_u16();
                assert_eq!(status, if *is_good { 200 } else { 401 }, "{secret}");
            }
        }
    }

    async fn rotate(&self, client: &str) -> (String, String) {
        let path = format!("clients/{client}/secrets");
        let rotated = self.order(Method::POST, &path, json!({})).await;
        assert_eq!(rotated.status, 201, "{}", rotated.body);
        assert_eq!(rotated.header("cache-control"), "no-store");
        let rotated = rotated.json();
        assert_eq!(rotated["last_used_at"], Value::Null);
        let text = |name: &str| rotated[name].as_str().unwrap().to_owned();
        (text("id"), text("client_secret"))
    }

    async fn client(&self, client: &str) -> Value {
        let path = format!("clients/{client}");
        self.order(Method::GET, &path, json!({})).await.json()
    }
}

/// A server may believe for a second that a deleted secret is good: what it gives for it must not
/// outlive the order to end all tokens of the client.
#[tokio::test]
async fn a_leaked_secret_gets_nothing_that_outlives_its_end() {
    let pair = Pair::start().await;
    let (client, leaked) = pair.app.add_client(ClientType::Confidential).await;
    let (_, new) = pair.rotate(&client).await;
    let leaked_id = pair.client(&client).await["secrets"][0]["id"].clone();
    tokio::time::sleep(Duration::from_millis(150)).await;
    pair.works(&client, &[(&leaked, true), (&new, true)]).await;
    let path = format!("clients/{client}/secrets/{}", leaked_id.as_str().unwrap());
    let deleted = pair.order(Method::DELETE, &path, json!({})).await;
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    let everything = json!({ "client_id": client });
    let ended = pair.order(Method::POST, "tokens/revoke-all", everything);
    assert_eq!(ended.await.status, 204);
    for server in [&pair.sibling, &pair.app] {
        let refused = login(server, &client, &leaked).await;
        assert_eq!(refused.error(), "invalid_client", "{}", refused.body);
        let granted = login(server, &client, &new).await;
        assert_eq!(granted.status, 200, "{}", granted.body);
    }
}

#[tokio::test]
async fn two_secrets_live_at_once_on_every_server_and_no_third() {
    let pair = Pair::start().await;
    let (client, first) = pair.app.add_client(ClientType::Confidential).await;
    pair.works(&client, &[(&first, true)]).await;
    let (_, second) = pair.rotate(&client).await;
    // The other server still believes what it read before, and looks again.
    tokio::time::sleep(Duration::from_millis(150)).await;
    pair.works(&client, &[(&second, true), (&first, true)])
        .await;
    // Of the two the one stays that is known to have been used last.
    while pair.client(&client).await["secrets"][1]["last_used_at"].is_null() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (third_id, third) = pair.rotate(&client).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = [(first.as_str(), false), (&second, true), (&third, true)];
    pair.works(&client, &all).await;
    let told = pair.client(&client).await;
    let secrets = told["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    assert_eq!(secrets[1]["id"], third_id);
    let second_id = secrets[0]["id"].as_str().unwrap().to_owned();
    let delete = async |id: &str| {
        let path = format!("clients/{client}/secrets/{id}");
        pair.order(Method::DELETE, &path, json!({})).await.status
    };
    assert_eq!(delete(&second_id).await, 204);
    assert_eq!(delete(&second_id).await, 404);
    // Without any, nothing would tell it from others.
    assert_eq!(delete(&third_id).await, 409);
    assert_eq!(delete("xyz").await, 404);
    tokio::time::sleep(Duration::from_secs(1)).await;
    pair.works(&client, &[(&second, false), (&third, true)])
        .await;
    for body in [told.to_string(), pair.client(&client).await.to_string()] {
        assert!(!body.contains(&second) && !body.contains("hash"), "{body}");
    }
}

#[tokio::test]
async fn the_last_use_of_a_secret_is_noted_but_not_each() {
    let pair = Pair::start().await;
    let (client, secret) = pair.app.add_client(ClientType::Confidential).await;
    let last_used = async || pair.client(&client).await["secrets"][0]["last_used_at"].clone();
    assert_eq!(last_used().await, Value::Null);
    assert_eq!(login(&pair.app, &client, &secret).await.status, 200);
    let started = Instant::now();
    let noted = loop {
        let noted = last_used().await;
        if noted != Value::Null {
            break noted;
        }
        assert!(started.elapsed().as_secs() < 5, "never noted");
    };
    // Within a minute by the clock of the machine, whatever that of the server says.
    pair.app.clock.advance(time::Duration::minutes(5));
    assert_eq!(login(&pair.app, &client, &secret).await.status, 200);
    assert_eq!(last_used().await, noted);
}

#[tokio::test]
async fn a_public_or_unknown_client_has_no_secret_to_rotate() {
    let pair = Pair::start().await;
    let public = format!("clients/{}/secrets", pair.app.client_id);
    for (method, path, status) in [
        (Method::POST, public.as_str(), 409),
        (Method::GET, &public, 405),
        (Method::POST, "clients/nobody/secrets", 404),
    ] {
        let refused = pair.order(method, path, json!({})).await;
        assert_eq!(refused.status, status, "{}", refused.body);
    }
}

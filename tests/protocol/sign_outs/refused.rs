//! What is not there, and requests that do not say what they mean.

use reqwest::Method;
use serde_json::{Value, json};

use super::{NEW_PASSWORD, Pair};

const UNKNOWN: &str = "6b049213eb1acd78e9075d3b";

type Row = (Method, String, Value, u16);

fn row(method: Method, path: &str, body: Value, status: u16) -> Row {
    (method, path.to_owned(), body, status)
}

fn users() -> Vec<Row> {
    let user = format!("users/{UNKNOWN}");
    vec![
        row(Method::GET, &user, json!({}), 404),
        row(Method::PATCH, &user, json!({ "disabled": true }), 404),
        row(
            Method::PATCH,
            &user,
            json!({ "password": NEW_PASSWORD }),
            404,
        ),
        row(Method::PATCH, &user, json!({ "username": "x" }), 400),
        row(Method::PATCH, &user, json!({ "disabled": 1 }), 400),
        row(Method::DELETE, &user, json!({}), 404),
        row(Method::POST, &user, json!({}), 405),
        row(Method::DELETE, "users/xyz", json!({}), 404),
        row(Method::DELETE, "users/", json!({}), 404),
        row(Method::DELETE, "users", json!({}), 405),
        row(Method::GET, "users/../users", json!({}), 200),
    ]
}

fn clients() -> Vec<Row> {
    let disable = json!({ "disabled": true });
    vec![
        row(Method::PATCH, "clients/nobody", disable, 404),
        row(Method::DELETE, "clients/no%2Fbody%20%C3%A4", json!({}), 404),
        row(Method::DELETE, "clients/%FF", json!({}), 404),
        row(Method::POST, "clients/nobody", json!({}), 405),
    ]
}

fn tokens() -> Vec<Row> {
    let all = "tokens/revoke-all";
    let two = json!({ "everyone": true, "client_id": "x" });
    vec![
        row(Method::POST, all, json!({}), 400),
        row(Method::POST, all, json!({ "everyone": false }), 400),
        row(Method::POST, all, two, 400),
        row(Method::POST, all, json!({ "user_id": UNKNOWN }), 404),
        row(Method::POST, all, json!({ "user_id": "x" }), 404),
        row(Method::POST, all, json!({ "client_id": "x" }), 404),
        row(Method::GET, all, json!({}), 405),
    ]
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_meant_must_be_said() {
    let pair = Pair::start().await;
    let rows = [users(), clients(), tokens()].concat();
    for (method, path, body, status) in rows {
        let told = format!("{method} {path} {body}");
        let answer = pair.order(method, &path, body).await;
        assert_eq!(answer.status, status, "{told}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }
    let found = pair
        .order(Method::GET, "users?username=jonas", json!({}))
        .await;
    assert_eq!(found.json()["items"][0]["id"], pair.user.to_string());
    let found = pair
        .order(Method::GET, "users?username=Jonas", json!({}))
        .await;
    assert_eq!(found.json()["items"], json!([]));
}

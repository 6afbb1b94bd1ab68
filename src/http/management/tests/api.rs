//! The JSON API.

use serde_json::{Value, json};

use super::*;

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn a_new_user_is_answered_with_its_record() {
    let app = start().await;
    let answer = app
        .post(
            "users",
            r#"{"username":"jonas","password":"a good password"}"#,
        )
        .await;
    assert_eq!(answer.status(), 201);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let record = value(&answer);
    assert_eq!(record["username"], "jonas");
    assert_eq!(record["disabled"], false);
    assert_eq!(record["id"].as_str().unwrap().len(), 24);
    assert!(record["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(record.as_object().unwrap().len(), 4);
    let list = value(&app.get(&format!("{API}/users")).await);
    assert_eq!(list, json!({ "items": [record], "next": null }));
}

#[tokio::test]
async fn a_secret_is_told_in_the_201_alone() {
    let app = start().await;
    let request = json!({
        "client_type": "confidential", "name": "web", "allowed_grant_types": ["password"],
        "scopes": "read write", "default_scopes": ["read"],
    });
    let answer = app.post("clients", &request.to_string()).await;
    assert_eq!(answer.status(), 201);
    let mut record = value(&answer);
    let secret = record
        .as_object_mut()
        .unwrap()
        .remove("client_secret")
        .unwrap();
    assert!(secret.as_str().unwrap().len() >= 32);
    assert_eq!(record["scopes"], json!(["read", "write"]));
    assert_eq!(record["default_scopes"], json!(["read"]));
    assert_eq!(record["allowed_grant_types"], json!(["password"]));
    let list = value(&app.get(&format!("{API}/clients")).await);
    assert_eq!(list["items"], json!([record]));
    let public = value(&app.post("clients", r#"{"client_type":"public"}"#).await);
    assert!(public.get("client_secret").is_none());
    assert_eq!(
        public["allowed_grant_types"],
        json!(["password", "refresh_token"])
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_a_problem() {
    let app = start().await;
    app.post(
        "users",
        r#"{"username":"taken","password":"a good password"}"#,
    )
    .await;
    let large = format!(r#"{{"token":"{}"}}"#, "t".repeat(16_384));
    let user = |username: &str, password: &str| {
        json!({ "username": username, "password": password }).to_string()
    };
    let rows = [
        ("users", user("taken", "a good password"), 409),
        ("users", user("", "a good password"), 400),
        ("users", user("jonas", "short"), 400),
        ("users", user("jonas", &"p".repeat(72)), 400),
        ("users", user("jonas", "Password123"), 400),
        ("users", user("jonas doe", "Jonas Doe"), 400),
        ("users", r#"{"username":"jonas"}"#.into(), 400),
        (
            "users",
            r#"{"username":"jonas","password":"a good password","admin":true}"#.into(),
            400,
        ),
        (
            "users",
            r#"{"username":"a","username":"b","password":"a good password"}"#.into(),
            400,
        ),
        ("users", "[]".into(), 400),
        ("users", "{".into(), 400),
        ("users", String::new(), 400),
        ("clients", r#"{"client_type":"native"}"#.into(), 400),
        (
            "clients",
            r#"{"client_type":"public","allowed_grant_types":["implicit"]}"#.into(),
            400,
        ),
        (
            "clients",
            r#"{"client_type":"public","scopes":["a\"b"]}"#.into(),
            400,
        ),
        (
            "clients",
            r#"{"client_type":"public","default_scopes":["read"]}"#.into(),
            400,
        ),
        ("tokens/revoke", "{}".into(), 400),
        ("tokens/revoke", large, 413),
    ];
    for (path, body, status) in rows {
        let answer = app.post(path, &body).await;
        assert_eq!(answer.status(), status, "{path} {body}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json");
        assert_eq!(value(&answer)["status"], status);
        assert!(value(&answer)["detail"].as_str().unwrap().len() > 10);
        assert!(!text(&answer).contains("a good password"));
    }
    assert_eq!((app.count_users().await, app.count_clients().await), (1, 0));
}

#[tokio::test]
async fn scopes_that_cannot_be_are_told_by_what_is_wrong() {
    let app = start().await;
    let whole = "s".repeat(1_000);
    for (scopes, status, words) in [
        (vec![whole.as_str()], 201, ""),
        (vec![whole.as_str(), "a"], 400, "at most 1000 characters"),
        (vec!["a\"b"], 400, "does not allow"),
        (vec!["", "a"], 400, "is empty"),
    ] {
        let request = json!({ "client_type": "public", "scopes": scopes });
        let answer = app.post("clients", &request.to_string()).await;
        assert_eq!(answer.status(), status, "{}", text(&answer));
        assert!(text(&answer).contains(words), "{}", text(&answer));
    }
}

#[tokio::test]
async fn a_change_needs_json_and_no_foreign_origin() {
    let app = start().await;
    let post = |media_type: &str| {
        request("POST", &format!("{API}/clients"))
            .header("content-type", media_type)
            .body(r#"{"client_type":"public"}"#)
    };
    let json = "application/json";
    app.check(vec![
        ("a form's media type", post("text/plain"), 415),
        (
            "another charset",
            post("application/json; charset=utf-16"),
            415,
        ),
        (
            "compressed",
            post(json).header("content-encoding", "gzip"),
            415,
        ),
        (
            "a foreign origin",
            post(json).header("origin", "https://evil.example"),
            403,
        ),
        ("origin null", post(json).header("origin", "null"), 403),
        (
            "cross-site",
            post(json).header("sec-fetch-site", "cross-site"),
            403,
        ),
        (
            "same-site",
            post(json).header("sec-fetch-site", "same-site"),
            403,
        ),
    ])
    .await;
    assert_eq!(app.count_clients().await, 0);
    app.check(vec![
        ("a charset", post("Application/JSON; charset=UTF-8"), 201),
        (
            "our origin",
            post(json).header("origin", "https://localhost:5000"),
            201,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let app = start().await;
    for _ in 0..3 {
        app.post("clients", r#"{"client_type":"public"}"#).await;
    }
    let first = value(&app.get(&format!("{API}/clients?limit=2")).await);
    let next = first["next"].as_str().unwrap();
    assert_eq!(next, first["items"][1]["client_id"]);
    let second = value(
        &app.get(&format!("{API}/clients?limit=2&after={next}"))
            .await,
    );
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["next"], Value::Null);
    for limit in ["0", "-1", "201", "1e6", "x"] {
        let answer = app.get(&format!("{API}/users?limit={limit}")).await;
        assert_eq!(answer.status(), 400, "{limit}");
    }
    assert_eq!(
        app.get(&format!("{API}/users?after=nonsense"))
            .await
            .status(),
        400
    );
}

#[tokio::test]
async fn revoking_an_unknown_token_is_done() {
    let app = start().await;
    for token in ["sx2Rz0vVFVRQBCFVCTwXINPjSswq1W", "", "no token at all"] {
        let answer = app
            .post("tokens/revoke", &json!({ "token": token }).to_string())
            .await;
        assert_eq!(answer.status(), 204);
    }
}

#[tokio::test]
async fn a_revocation_that_could_not_be_done_is_503() {
    let App { routes, tree, .. } = start().await;
    tree.stop(Duration::from_secs(5)).await;
    let request = request("POST", &format!("{API}/tokens/revoke"))
        .header("content-type", "application/json")
        .body(r#"{"token":"sx2Rz0vVFVRQBCFVCTwXINPjSswq1W"}"#);
    assert_eq!(request.reply(&routes).await.status(), 503);
}

#[tokio::test]
async fn the_picture_names_every_actor() {
    let app = start().await;
    let list = value(&app.get(&format!("{API}/actors")).await);
    let names: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    for name in [
        "user_registry",
        "password_pool",
        "throttle",
        "token_issuer",
        "management",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(list["items"][0]["state"], "running");
    assert_eq!(list["items"][0]["restarts"], 0);
}

#[tokio::test]
async fn the_description_names_each_path_and_method() {
    let app = start().await;
    let answer = app.get(&format!("{API}/openapi.json")).await;
    assert_eq!(header(&answer, "content-type"), "application/json");
    let document = value(&answer);
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in [
        ("/users", vec!["get", "post"]),
        ("/clients", vec!["get", "post"]),
        ("/users/{id}", vec!["delete", "get", "parameters", "patch"]),
        (
            "/clients/{client_id}",
            vec!["delete", "get", "parameters", "patch"],
        ),
        ("/clients/{client_id}/secrets", vec!["parameters", "post"]),
        (
            "/clients/{client_id}/secrets/{secret_id}",
            vec!["delete", "parameters"],
        ),
        ("/tokens/revoke", vec!["post"]),
        ("/tokens/revoke-all", vec!["post"]),
        ("/actors", vec!["get"]),
        ("/openapi.json", vec!["get"]),
    ] {
        let described = document["paths"][path].as_object().unwrap();
        let described: Vec<&str> = described.keys().map(String::as_str).collect();
        assert_eq!(described, methods, "{path}");
        // Whoever asks is looked at first.
        for method in methods.into_iter().filter(|own| *own != "parameters") {
            let responses = &document["paths"][path][method]["responses"];
            for status in ["401", "403", "429", "503"] {
                assert!(responses[status].is_object(), "{method} {path}: {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_grant_types_of_a_client_are_described_as_they_are() {
    let app = start().await;
    let made = value(
        &app.post("clients", r#"{"client_type":"confidential"}"#)
            .await,
    );
    assert_eq!(
        made["allowed_grant_types"],
        json!(["password", "refresh_token"])
    );
    let document = value(&app.get(&format!("{API}/openapi.json")).await);
    let described = &document["components"]["schemas"]["NewClientRequest"]["properties"];
    let words = "`password` and `refresh_token` when absent.";
    assert_eq!(described["allowed_grant_types"]["description"], words);
}

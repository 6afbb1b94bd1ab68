//! Bad inputs of `POST /oauth/token` and the right answers (RFC 6749 §3.2, §4.3, §5, §6).

mod clients;
mod connection;
mod forms;
mod parameters;
mod passwords;
mod refresh;

use mongodb::bson::Document;
use reqwest::RequestBuilder;

use crate::rows::{ask, check, group, token_answer_faults};
use crate::support::app::{FORM, TestApp, USER, spawn_app, spawn_app_with};
use crate::support::stores::{start_mongod, stores};

/// A good password request but for its client.
const LOGIN: [(&str, &str); 3] = [
    ("grant_type", "password"),
    ("username", USER.0),
    ("password", USER.1),
];

/// RFC 6749 §3.2: "The client MUST use the HTTP "POST" method when making access token requests."
#[tokio::test]
async fn every_method_but_post_is_refused_with_405() {
    let app = spawn_app().await;
    let methods = ["GET", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"];
    let request = |method: &'static str| {
        let url = format!("{}/oauth/token", app.url);
        (method, app.http.request(method.parse().unwrap(), url))
    };
    let rows = vec![
        group(405, "invalid_request", methods.map(request).into()),
        // The answer to HEAD has no body.
        group(405, "", vec![request("HEAD")]),
    ];
    let asked = ask(rows).await;
    check(&asked, |asked| {
        let mut faults = token_answer_faults(asked);
        if asked.answer.header("allow") != "POST" {
            faults.push("Allow is not POST".to_owned());
        }
        faults
    });
}

/// OWASP ASVS 16.5.2: a fault of ours is never told as a fault of the client's.
#[tokio::test]
async fn without_mongodb_every_grant_is_temporarily_unavailable() {
    let mongod = start_mongod(&[]).await;
    let uri = format!("mongodb://{}", mongod.address());
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &uri)]).await;
    let tokens = app.login().await;
    drop(mongod);
    let client = ("client_id", app.client_id.as_str());
    let login = |form: &[(&str, &str)]| with_form(app.post("/oauth/token"), form);
    let wrong = [
        ("grant_type", "password"),
        client,
        ("username", "x"),
        ("password", "y"),
    ];
    let error = "temporarily_unavailable";
    let refused = vec![
        ("T43 login", login(&with_client(client))),
        ("T43 wrong password", login(&wrong)),
        (
            "T43 unknown client",
            login(&with_client(("client_id", "x"))),
        ),
        (
            "T43 refresh",
            refresh_of(&app, &app.client_id, &tokens.refresh),
        ),
        (
            "T43 unknown token",
            refresh_of(&app, &app.client_id, &"x".repeat(30)),
        ),
    ];
    let malformed = vec![("T43 what needs no store", login(&LOGIN))];
    let rows = vec![
        group(503, error, refused),
        group(400, "invalid_request", malformed),
    ];
    check(&ask(rows).await, token_answer_faults);
    // What is known goes on; what is unknown cannot be denied (R16).
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    let unknown = app.verify(&"x".repeat(30)).await;
    assert_eq!(unknown.status, 503);
    assert_eq!(unknown.header("retry-after"), "1");
    assert_eq!(app.endpoint(&"x".repeat(30)).await.status, 503);
}

fn with_client<'a>(client: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    let mut form: Vec<(&str, &str)> = LOGIN.to_vec();
    form.push(client);
    form
}

fn form_text(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

fn with_form(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    request.header("content-type", FORM).body(form_text(form))
}

fn form_body(app: &TestApp, body: impl Into<reqwest::Body>) -> RequestBuilder {
    app.post("/oauth/token")
        .header("content-type", FORM)
        .body(body)
}

fn refresh_of(app: &TestApp, client_id: &str, token: &str) -> RequestBuilder {
    let client = ("client_id", client_id);
    let form = [
        ("grant_type", "refresh_token"),
        client,
        ("refresh_token", token),
    ];
    with_form(app.post("/oauth/token"), &form)
}

pub(crate) async fn raw_collection(app: &TestApp, name: &str) -> mongodb::Collection<Document> {
    let client = mongodb::Client::with_uri_str(stores().await.mongo_uri()).await;
    client.unwrap().database(&app.database).collection(name)
}

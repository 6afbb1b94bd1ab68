//! How a client authenticates at the token endpoint (RFC 6749 §2.3.1, §3.2.1).

use warp_sentinel::domain::client::ClientType;

use crate::support::app::{FORM, TestApp, USER, answer, spawn_app};

const GRANT: [(&str, &str); 3] = [
    ("grant_type", "password"),
    ("username", USER.0),
    ("password", USER.1),
];

#[tokio::test]
async fn a_confidential_client_authenticates_in_the_header_or_in_the_body() {
    let app = spawn_app().await;
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let basic = post(&app, &GRANT).basic_auth(&id, Some(&secret));
    assert_eq!(answer(basic).await.status, 200);
    let in_body = [
        &GRANT[..],
        &[("client_id", &id), ("client_secret", &secret)],
    ]
    .concat();
    assert_eq!(app.token(&in_body).await.status, 200);
}

#[tokio::test]
async fn a_wrong_or_missing_secret_is_answered_like_an_unknown_client() {
    let app = spawn_app().await;
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let mut answers = Vec::new();
    for (id, password) in [
        (id.as_str(), "wrong"),
        (id.as_str(), ""),
        ("unknown", &secret),
    ] {
        answers.push(answer(post(&app, &GRANT).basic_auth(id, Some(password))).await);
    }
    for refused in answers {
        assert_eq!(refused.status, 401);
        assert_eq!(refused.error(), "invalid_client");
        assert!(
            refused
                .header("www-authenticate")
                .starts_with("Basic realm=")
        );
    }
}

#[tokio::test]
async fn an_empty_secret_in_the_header_is_no_secret() {
    let app = spawn_app().await;
    let public = post(&app, &GRANT).basic_auth(&app.client_id, Some(""));
    assert_eq!(answer(public).await.status, 200);
    let with_secret = post(&app, &GRANT).basic_auth(&app.client_id, Some("secret"));
    assert_eq!(answer(with_secret).await.error(), "invalid_client");
}

fn post(app: &TestApp, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    app.post("/oauth/token")
        .header("content-type", FORM)
        .body(body)
}

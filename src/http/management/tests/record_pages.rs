//! The pages of one user and of one client (reliability rows C3, C4, C6, C11, C13).

use serde_json::Value;

use super::*;
use crate::domain::client::ClientId;

/// A name that would be markup, were it not escaped.
const MARKUP: &str = "<script>alert('x')</script>";
const NEW: &str = "another password";

impl App {
    async fn made(&self, list: &str, body: Value) -> Value {
        let answer = self.post(list, &body.to_string()).await;
        serde_json::from_slice(answer.body()).unwrap()
    }

    async fn user_page(&self, name: &str) -> String {
        let body = serde_json::json!({ "username": name, "password": "a good password" });
        let user = self.made("users", body).await;
        format!("{PATH}/users/{}", user["id"].as_str().unwrap())
    }

    /// Sends a form of a page; it answers with 303 to `expected`, or refuses with a status.
    async fn act(&self, page: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let token = self.management.csrf_token(USER);
        let answer = self.send(form_to(page, &token, fields)).await;
        let location = header(&answer, "location").to_owned();
        (answer.status().as_u16(), location)
    }
}

#[tokio::test]
async fn a_user_is_found_by_name_and_changed_on_its_page() {
    let app = start().await;
    let page = app.user_page(MARKUP).await;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("username", MARKUP)
        .finish();
    let found = app.get(&format!("{PATH}?{query}")).await;
    assert_eq!(
        (found.status().as_u16(), header(&found, "location")),
        (303, &*page)
    );
    let unknown = app.get(&format!("{PATH}?username=nobody")).await;
    assert!(text(&unknown).contains("There is no user of this name."));
    let shown = app.get(&page).await;
    assert_eq!(shown.status(), 200);
    assert!(!text(&shown).contains("<script>") && !text(&shown).contains("$2b$"));
    let policy = header(&shown, "content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let back = (303, page.clone());
    for (fields, is_disabled) in [
        (&[("submit", "Disable")][..], true),
        (&[("submit", "Enable")], false),
        (&[("submit", "Set Password"), ("password", NEW)], false),
        (&[("submit", "End Sessions")], false),
    ] {
        assert_eq!(app.act(&page, fields).await, back, "{fields:?}");
        let shown = app.get(&page).await;
        let says = text(&shown).contains(">disabled<");
        assert_eq!(says, is_disabled, "{fields:?}");
    }
    let gone = [("submit", "Delete"), ("confirm", "yes")];
    assert_eq!(app.act(&page, &gone[..1]).await.0, 400);
    assert_eq!(app.count_users().await, 1);
    assert_eq!(app.act(&page, &gone).await, (303, PATH.to_owned()));
    assert_eq!(app.count_users().await, 0);
    assert_eq!(app.get(&page).await.status(), 404);
    assert_eq!(app.act(&page, &gone).await.0, 404);
}

#[tokio::test]
async fn a_client_is_changed_on_its_page_and_shows_a_new_secret_once() {
    let app = start().await;
    let body = serde_json::json!({ "client_type": "confidential", "name": MARKUP });
    let client = app.made("clients", body).await;
    let page = format!("{PATH}/clients/{}", client["client_id"].as_str().unwrap());
    let listed = app.get(PATH).await;
    assert!(text(&listed).contains(&format!("href=\"{page}\"")));
    let back = (303, page.clone());
    for action in ["Disable", "Enable", "End Sessions"] {
        assert_eq!(
            app.act(&page, &[("submit", action)]).await,
            back,
            "{action}"
        );
    }
    let token = app.management.csrf_token(USER);
    let rotated = app.send(form_to(&page, &token, &[("submit", "Rotate Secret")]));
    let rotated = rotated.await;
    assert_eq!(rotated.status(), 200);
    let shown = text(&rotated)
        .split("Client secret: <code>")
        .nth(1)
        .unwrap();
    let secret = shown.split('<').next().unwrap().to_owned();
    assert!(secret.len() >= 40);
    let shown = app.get(&page).await;
    assert!(!text(&shown).contains(&secret) && !text(&shown).contains("<script>"));
    assert_eq!(text(&shown).matches("value=\"Delete Secret\"").count(), 2);
    let first = client["secrets"][0]["id"].as_str().unwrap();
    let delete = [
        ("submit", "Delete Secret"),
        ("secret_id", first),
        ("confirm", "yes"),
    ];
    assert_eq!(app.act(&page, &delete[..2]).await.0, 400);
    assert_eq!(app.act(&page, &delete).await, back);
    assert_eq!(app.act(&page, &delete).await.0, 404);
    let shown = app.get(&page).await;
    let last = text(&shown)
        .split("name=\"secret_id\" value=\"")
        .nth(1)
        .unwrap();
    let last = last.split('"').next().unwrap();
    let delete = [
        ("submit", "Delete Secret"),
        ("secret_id", last),
        ("confirm", "yes"),
    ];
    assert_eq!(app.act(&page, &delete).await.0, 409);
    let gone = [("submit", "Delete"), ("confirm", "yes")];
    assert_eq!(app.act(&page, &gone[..1]).await.0, 400);
    assert_eq!(app.act(&page, &gone).await, (303, PATH.to_owned()));
    assert_eq!(app.get(&page).await.status(), 404);
}

#[tokio::test]
async fn a_client_identifier_may_be_any_text() {
    let app = start().await;
    let body = serde_json::json!({ "client_type": "public" });
    app.made("clients", body).await;
    let clients = app.management.list_clients(None, 1).await.unwrap();
    let id = ClientId::new("a/b ä?<>\"&../%2F");
    let odd = crate::domain::client::Client {
        id,
        ..clients.items[0].clone()
    };
    app.truth.clients.insert_client(&odd).await.unwrap();
    let listed = app.get(PATH).await;
    let links: Vec<&str> = text(&listed)
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.contains("/clients/"))
        .collect();
    assert_eq!(links.len(), 2);
    for link in links {
        assert_eq!(app.get(link).await.status(), 200, "{link}");
        let gone = [("submit", "Delete"), ("confirm", "yes")];
        assert_eq!(app.act(link, &gone).await.0, 303, "{link}");
    }
    assert_eq!(app.count_clients().await, 0);
}

#[tokio::test]
async fn a_page_refuses_as_the_console_does() {
    let app = start().await;
    let page = app.user_page("jonas").await;
    let token = app.management.csrf_token(USER);
    let delete = [("submit", "Delete"), ("confirm", "yes")];
    let form = || form_to(&page, &token, &delete);
    app.check(vec![
        ("no token", form_to(&page, "", &delete), 403),
        (
            "foreign",
            form().header("origin", "https://evil.example"),
            403,
        ),
        (
            "cross-site",
            form().header("sec-fetch-site", "cross-site"),
            403,
        ),
        ("nothing asked", form_to(&page, &token, &[]), 400),
        (
            "unknown action",
            form_to(&page, &token, &[("submit", "Own")]),
            400,
        ),
        (
            "short",
            form_to(&page, &token, &[("submit", "Set Password")]),
            400,
        ),
        ("no credentials", bare("GET", &page), 401),
        ("method", request("PUT", &page), 405),
        (
            "no identifier",
            request("GET", &format!("{PATH}/users/xyz")),
            404,
        ),
        ("none", request("GET", &format!("{PATH}/users/")), 404),
        ("the list", request("GET", &format!("{PATH}/users")), 404),
        ("deeper", request("GET", &format!("{page}/x")), 404),
        (
            "no text",
            request("GET", &format!("{PATH}/clients/%FF")),
            404,
        ),
        ("unknown", request("GET", &format!("{PATH}/clients/x")), 404),
        (
            "elsewhere",
            request("GET", &format!("{PATH}/tokens/x")),
            404,
        ),
    ])
    .await;
    assert_eq!(app.count_users().await, 1);
    let everyone = [("submit", "End All Sessions"), ("confirm", "yes")];
    assert_eq!(app.act(PATH, &everyone[..1]).await.0, 400);
    assert_eq!(app.act(PATH, &everyone).await, (303, PATH.to_owned()));
}

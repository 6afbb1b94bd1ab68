//! The console's forms (reliability rows C3, C4, C6 to C8, C10, C12, C13, C15).

use futures_util::future::join_all;
use time::Duration as TimeDuration;
use warp::http::StatusCode;

use super::*;

const JONAS: [(&str, &str); 3] = [
    ("submit", "Add User"),
    ("username", "jonas"),
    ("password", "a good password"),
];

#[tokio::test]
async fn the_seeds_two_forms_answer_303_to_the_console() {
    let app = start().await;
    for fields in [&JONAS[..], &[("submit", "Add Client")]] {
        let answer = app.submit(fields).await;
        assert_eq!(answer.status(), 303, "{}", text(&answer));
        assert_eq!(header(&answer, "location"), PATH);
    }
    let page = app.get(PATH).await;
    assert!(text(&page).contains("<bdi>jonas</bdi>"));
    assert!(text(&page).contains("There are 1 authorized users."));
    assert!(text(&page).contains("There are 1 authorized clients."));
    assert!(text(&page).contains(">public<"));
    assert!(text(&page).contains(">running<") && text(&page).contains("token_issuer"));
}

#[tokio::test]
async fn the_token_in_the_page_is_good_for_its_forms() {
    let app = start().await;
    let page = app.get(PATH).await;
    let tokens: Vec<&str> = text(&page)
        .split("name=\"csrf_token\" value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(tokens.len(), 4);
    let answer = app.send(form_with_token(tokens[0], &JONAS)).await;
    assert_eq!(answer.status(), 303);
}

#[tokio::test]
async fn what_another_site_makes_a_browser_send_changes_nothing() {
    let app = start().await;
    let form = || app.form(&JONAS);
    let with = |name: &'static str, value: &'static str| form().header(name, value);
    let other = app.management.csrf_token("other");
    app.check(vec![
        (
            "a foreign origin",
            with("origin", "https://evil.example"),
            403,
        ),
        ("origin null", with("origin", "null"), 403),
        (
            "another port",
            with("origin", "https://localhost:5001"),
            403,
        ),
        ("another scheme", with("origin", "http://localhost"), 403),
        ("cross-site", with("sec-fetch-site", "cross-site"), 403),
        ("same-site", with("sec-fetch-site", "same-site"), 403),
        ("no token", form_with_token("", &JONAS), 403),
        ("no body", request("POST", PATH), 403),
        ("another user's token", form_with_token(&other, &JONAS), 403),
        ("no token and no submit", form_with_token("", &[]), 403),
        (
            "the token alone",
            form().header("authorization", "Basic"),
            401,
        ),
    ])
    .await;
    let old = form();
    app.clock.advance(TimeDuration::hours(12));
    app.check(vec![("an old token", old, 403)]).await;
    assert_eq!(app.count_users().await, 0);
    assert_eq!(app.send(form()).await.status(), 303);
}

#[tokio::test]
async fn a_form_without_its_token_is_a_403_whatever_else_is_wrong() {
    let app = start().await;
    let token = app.management.csrf_token(USER);
    let twice = [JONAS[0], JONAS[0]];
    let nobody = format!("{PATH}/users/xyz");
    let multipart =
        |request: RequestBuilder| request.header("content-type", "multipart/form-data; boundary=x");
    app.check(vec![
        ("a field twice", form_with_token("", &twice), 403),
        ("no form", multipart(form_with_token("", &JONAS)), 403),
        ("bad code", form_with_token("", &[]).body("a=%zz"), 403),
        ("no record", form_to(&nobody, "", &JONAS), 403),
        ("token, field twice", form_with_token(&token, &twice), 400),
        (
            "token, no form",
            multipart(form_with_token(&token, &JONAS)),
            400,
        ),
        (
            "token twice",
            form_with_token(&token, &[("csrf_token", "")]),
            400,
        ),
        ("token, no record", form_to(&nobody, &token, &JONAS), 404),
        ("method, no record", request("PUT", &nobody), 404),
    ])
    .await;
    assert_eq!(app.count_users().await, 0);
}

#[tokio::test]
async fn a_program_without_origin_headers_needs_the_token_only() {
    let app = start().await;
    let token = app.management.csrf_token(USER);
    let body = format!("csrf_token={token}&submit=Add+Client");
    let request = request("POST", PATH)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    assert_eq!(app.send(request).await.status(), 303);
}

#[tokio::test]
async fn a_form_that_breaks_a_rule_is_a_400_page_that_keeps_the_password_to_itself() {
    let app = start().await;
    let long_name = "n".repeat(257);
    let long_password = "p".repeat(72);
    let add_user = |username: &str, password: &str| {
        app.form(&[
            ("submit", "Add User"),
            ("username", username),
            ("password", password),
        ])
    };
    let client = |name: &str, value: &str| app.form(&[("submit", "Add Client"), (name, value)]);
    app.check(vec![
        ("empty name", add_user("", "a good password"), 400),
        (
            "257 bytes of name",
            add_user(&long_name, "a good password"),
            400,
        ),
        ("NUL", add_user("a\0b", "a good password"), 400),
        ("line end", add_user("a\r\nb", "a good password"), 400),
        ("short password", add_user("jonas", "1234567"), 400),
        ("common password", add_user("jonas", "iloveyou"), 400),
        ("its username", add_user("jonasdoe", "jonasdoe"), 400),
        ("empty password", add_user("jonas", ""), 400),
        (
            "72 bytes of password",
            add_user("jonas", &long_password),
            400,
        ),
        ("client type", client("client_type", "secret"), 400),
        ("client name", client("name", &long_name), 400),
        ("unknown submit", app.form(&[("submit", "Delete")]), 400),
        ("no submit", app.form(&[("username", "jonas")]), 400),
        (
            "no token to revoke",
            app.form(&[("submit", "Revoke Token")]),
            400,
        ),
        (
            "a field twice",
            app.form(&[("submit", "Add User"), ("submit", "Add Client")]),
            400,
        ),
        (
            "another media type",
            app.form(&JONAS).header("content-type", "text/plain"),
            400,
        ),
        ("too large", app.form(&JONAS).body("a".repeat(16_385)), 413),
        (
            "compressed",
            app.form(&JONAS).header("content-encoding", "gzip"),
            415,
        ),
    ])
    .await;
    assert_eq!((app.count_users().await, app.count_clients().await), (0, 0));
    let answer = app.send(add_user("", "correct horse")).await;
    assert!(text(&answer).contains("A username has 1 to 256 bytes"));
    assert!(!text(&answer).contains("correct horse"));
}

#[tokio::test]
async fn fifty_at_once_with_one_name_make_one_user() {
    let app = start().await;
    let answers = join_all((0..50).map(|_| app.submit(&JONAS))).await;
    let with = |status: StatusCode| answers.iter().filter(|a| a.status() == status).count();
    assert_eq!(with(StatusCode::SEE_OTHER), 1);
    assert_eq!(with(StatusCode::CONFLICT), 49);
    assert_eq!(app.count_users().await, 1);
}

#[tokio::test]
async fn names_are_shown_as_text() {
    let app = start().await;
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "{{7*7}}",
        "{% include 'layout.html' %}",
        "</td></table><h1>x</h1>",
        "<style>*{}</style>",
        "\u{202e}nimda",
        "&lt;b&gt;",
    ];
    for name in names {
        let user = [("submit", "Add User"), ("username", name), JONAS[2]];
        assert_eq!(app.submit(&user).await.status(), 303);
        let client = [("submit", "Add Client"), ("name", name)];
        assert_eq!(app.submit(&client).await.status(), 303);
    }
    let page = app.get(PATH).await;
    for name in names {
        let mut escaped = Vec::new();
        tera::escape_html(name, &mut escaped).unwrap();
        let cell = format!("<bdi>{}</bdi>", String::from_utf8(escaped).unwrap());
        assert_eq!(text(&page).matches(&cell).count(), 2, "{name}");
    }
    assert!(!text(&page).contains("<script") && !text(&page).contains("<img"));
    assert_eq!(text(&page).matches("<style").count(), 1);
}

#[tokio::test]
async fn no_page_has_a_hash_a_secret_or_something_from_elsewhere() {
    let app = start().await;
    app.submit(&JONAS).await;
    let client = [
        ("submit", "Add Client"),
        ("client_type", "confidential"),
        ("name", "web"),
    ];
    let made = app.submit(&client).await;
    assert_eq!(made.status(), 200);
    assert_eq!(header(&made, "cache-control"), "no-store");
    let secret = text(&made).split("Client secret: <code>").nth(1).unwrap();
    let secret = secret.split('<').next().unwrap();
    assert!(secret.len() >= 32);
    let page = app.get(PATH).await;
    assert!(text(&page).contains(">confidential<"));
    for hidden in [
        secret,
        "$2b$",
        "a good password",
        "http://",
        "https://",
        "<script",
        "//",
    ] {
        assert!(!text(&page).contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn lists_go_on_where_the_page_ends() {
    let app = start().await;
    let password = || Password::new("a good password".to_owned());
    let adds = (0..51).map(|n| app.management.add_user(format!("user-{n:03}"), password()));
    assert!(join_all(adds).await.iter().all(Result::is_ok));
    let page = app.get(PATH).await;
    assert_eq!(text(&page).matches("<bdi>user-").count(), 50);
    assert!(text(&page).contains("There are 51 authorized users."));
    let link = text(&page).split("href=\"?users_after=").nth(1).unwrap();
    let after = link.split('"').next().unwrap();
    let next = app.get(&format!("{PATH}?users_after={after}")).await;
    assert_eq!(text(&next).matches("<bdi>user-").count(), 1);
    assert!(text(&next).contains("First users") && !text(&next).contains("Next users"));
}

#[tokio::test]
async fn a_place_that_cannot_be_read_is_a_400() {
    let app = start().await;
    let long = "c".repeat(257);
    let get = |query: &str| request("GET", &format!("{PATH}?{query}"));
    app.check(vec![
        ("minus one", get("users_after=-1"), 400),
        ("a float", get("users_after=1e99"), 400),
        ("too short", get("users_after=6b04"), 400),
        ("too long", get(&format!("clients_after={long}")), 400),
        ("twice", get("users_after=&users_after="), 400),
        ("badly encoded", get("users_after=%zz"), 400),
        ("none", get("users_after="), 200),
        (
            "past the end",
            get("users_after=ffffffffffffffffffffffff&clients_after=zz"),
            200,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_token_is_ended_by_its_form() {
    let app = start().await;
    app.submit(&JONAS).await;
    app.submit(&[("submit", "Add Client")]).await;
    let clients = app.management.list_clients(None, 1).await.unwrap();
    let token = issue(&app, clients.items[0].id.as_str()).await;
    assert_eq!(verify(&app, &token).await, 204);
    for value in [token.as_str(), "unknown"] {
        let answer = app
            .submit(&[("submit", "Revoke Token"), ("token", value)])
            .await;
        assert_eq!(answer.status(), 303);
    }
    assert_eq!(verify(&app, &token).await, 401);
}

async fn issue(app: &App, client_id: &str) -> String {
    let body = format!(
        "grant_type=password&client_id={client_id}&username=jonas&password=a+good+password"
    );
    let request = bare("POST", "/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = app.send(request).await;
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn verify(app: &App, token: &str) -> u16 {
    let request = bare("GET", "/oauth/verify").header("authorization", format!("Bearer {token}"));
    app.send(request).await.status().as_u16()
}

#[tokio::test]
async fn without_its_actors_the_console_answers_503() {
    let app = start().await;
    let App {
        routes,
        tree,
        management,
        ..
    } = app;
    tree.stop(Duration::from_secs(5)).await;
    let form = form_with_token(&management.csrf_token(USER), &JONAS);
    for request in [
        request("GET", PATH),
        form,
        request("GET", &format!("{API}/users")),
    ] {
        let answer = request.reply(&routes).await;
        assert_eq!(answer.status(), 503, "{}", text(&answer));
        assert_eq!(header(&answer, "retry-after"), "1");
    }
}

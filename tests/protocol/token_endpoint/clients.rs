//! How clients authenticate and what they may do (RFC 6749 §2.3, §3.2.1, §5.2; RFC 7617 §2).

use std::fmt::Write;

use warp_sentinel::domain::client::policy::ClientPolicy;
use warp_sentinel::domain::client::{Client, ClientId, ClientType, GrantType};
use warp_sentinel::domain::scope::Scope;

use super::{LOGIN, with_client, with_form};
use crate::rows::{CANARY, ask, check, group, token_answer_faults};
use crate::support::app::{TestApp, spawn_app};

/// RFC 6749 §2.3.1, §5.2; RFC 7617 §2.
#[tokio::test]
async fn a_basic_header_that_cannot_be_read_is_an_invalid_client() {
    let app = spawn_app().await;
    let post = || with_form(app.post("/oauth/token"), &LOGIN);
    let raw = |value: &str| post().header("authorization", value);
    let basic = |id: &str| post().basic_auth(id, Some(CANARY));
    let rows = vec![
        ("T12 not base64", raw("Basic !canary7f!")),
        ("T12 no credentials", raw("Basic")),
        ("T12 nothing behind the scheme", raw("Basic ")),
        ("T12 no colon", raw("Basic Y2FuYXJ5N2Y=")),
        ("T12 not UTF-8", raw("Basic /zr/")),
        ("T12 trailing junk", raw("Basic YTpi canary7f")),
        ("T12 another scheme", raw("Bearer canary7f")),
        ("T12 a bad percent code", basic("%zz")),
        ("T12 a percent code of no UTF-8", basic("%ff")),
        (
            "T12 two headers",
            basic("a").header("authorization", "Basic YTpi"),
        ),
        ("T12 no name", basic("")),
    ];
    let asked = ask(vec![group(401, "invalid_client", rows)]).await;
    check(&asked, token_answer_faults);
}

/// RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
#[tokio::test]
async fn a_client_authenticates_in_one_way_or_is_refused() {
    let app = spawn_app().await;
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let (id, secret) = (id.as_str(), secret.as_str());
    let public = app.client_id.as_str();
    let named = |id: &str| with_form(app.post("/oauth/token"), &with_client(("client_id", id)));
    let form = |id: &str, secret: &str| {
        let mut form = with_client(("client_id", id));
        form.push(("client_secret", secret));
        with_form(app.post("/oauth/token"), &form)
    };
    let basic = |id: &str, secret: &str| {
        let request = with_form(app.post("/oauth/token"), &LOGIN);
        request.basic_auth(id, Some(secret))
    };
    let mut encoded = String::new();
    for byte in id.bytes() {
        write!(encoded, "%{byte:02x}").unwrap();
    }
    let unauthenticated = vec![
        ("T11 unknown", named(CANARY)),
        ("T11 unknown, with a secret", form(CANARY, CANARY)),
        ("T11 unknown, by Basic", basic(CANARY, CANARY)),
        ("T15 no secret", named(id)),
        ("T15 an empty secret", form(id, "")),
        ("T15 a wrong secret", form(id, CANARY)),
        ("T15 a longer secret", form(id, &format!("{secret}x"))),
        ("T15 a wrong secret, by Basic", basic(id, CANARY)),
        ("T15 an empty secret, by Basic", basic(id, "")),
        ("T16 a public client's secret", form(public, CANARY)),
        ("T16 the same, by Basic", basic(public, CANARY)),
    ];
    let twice = |other: &str| named(other).basic_auth(id, Some(secret));
    let both = form(id, secret).basic_auth(id, Some(secret));
    let empty_too = form(public, CANARY).basic_auth(public, Some(""));
    let malformed = vec![
        ("T13 two secrets", both),
        ("T13 an empty one in the header", empty_too),
        ("T13 two names", twice(public)),
    ];
    let granted = vec![
        ("T13 one name, twice", twice(id)),
        ("a public client", named(public)),
        ("a public client, by Basic", basic(public, "")),
        ("the secret", form(id, secret)),
        ("the secret, by Basic", basic(id, secret)),
        ("the secret, form-encoded first", basic(&encoded, secret)),
    ];
    let rows = vec![
        group(401, "invalid_client", unauthenticated),
        group(400, "invalid_request", malformed),
        group(200, "", granted),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 6749 §5.2: `unauthorized_client`.
#[tokio::test]
async fn a_client_gets_no_grant_outside_its_registration() {
    let app = spawn_app().await;
    let refresh = app.login().await.refresh;
    limited_client(&app, "refreshes", &[GrantType::RefreshToken]).await;
    limited_client(&app, "logs in", &[GrantType::Password]).await;
    limited_client(&app, "does nothing", &[]).await;
    let login = |id: &str| with_form(app.post("/oauth/token"), &with_client(("client_id", id)));
    let again = |id: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", id),
            ("refresh_token", refresh.as_str()),
        ];
        with_form(app.post("/oauth/token"), &form)
    };
    let error = "unauthorized_client";
    let refused = vec![
        ("T17 password", login("refreshes")),
        ("T17 refresh_token", again("logs in")),
        ("T17 neither: password", login("does nothing")),
        ("T17 neither: refresh", again("does nothing")),
    ];
    let granted = vec![("T17 what it may", login("logs in"))];
    let rows = vec![group(400, error, refused), group(200, "", granted)];
    check(&ask(rows).await, token_answer_faults);
}

async fn limited_client(app: &TestApp, id: &str, grant_types: &[GrantType]) {
    let client = Client {
        id: ClientId::new(id),
        client_type: ClientType::Public,
        name: String::new(),
        allowed_grant_types: grant_types.to_vec(),
        allowed_scope: Scope::default(),
        default_scope: Scope::default(),
        policy: ClientPolicy::default(),
        secrets: Vec::new(),
        is_disabled: false,
        sessions_ended: 0,
        created_at: app.clock.now(),
    };
    app.truth.clients.insert_client(&client).await.unwrap();
}

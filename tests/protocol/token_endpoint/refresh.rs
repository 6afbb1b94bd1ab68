//! Refresh tokens that are not good (RFC 6749 §6, §10.4; RFC 9700 §4.14.2).

use mongodb::bson::doc;
use time::Duration;
use warp_sentinel::domain::client::ClientType;

use super::{raw_collection, refresh_of, with_client, with_form};
use crate::rows::{ask, check, check_each, flip_case, group, token_answer_faults};
use crate::support::app::{answer, spawn_app, spawn_app_with};

/// RFC 6749 §6, §10.4; RFC 9700 §4.14.2.
#[tokio::test]
async fn a_refresh_token_that_is_not_good_is_an_invalid_grant() {
    let app = spawn_app().await;
    let ours = app.login().await;
    let (other, _) = app.add_client(ClientType::Public).await;
    let (confidential, secret) = app.add_client(ClientType::Confidential).await;
    let form = with_client(("client_id", &confidential));
    let theirs = with_form(app.post("/oauth/token"), &form);
    let theirs = answer(theirs.basic_auth(&confidential, Some(&secret))).await;
    let theirs = theirs.tokens().refresh;
    let refresh = |client: &str, token: &str, scope: &str| {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", client)];
        form.extend([("refresh_token", token), ("scope", scope)]);
        with_form(app.post("/oauth/token"), &form)
    };
    let id = app.client_id.as_str();
    let flipped = flip_case(&ours.refresh);
    let (grant, scope) = ("invalid_grant", "invalid_scope");
    let ungranted = vec![
        ("T31 an access token", refresh(id, &ours.access, "")),
        ("T31 one letter less", refresh(id, &ours.refresh[1..], "")),
        (
            "T31 one letter more",
            refresh(id, &format!("{}a", ours.refresh), ""),
        ),
        ("T31 in the other case", refresh(id, &flipped, "")),
        (
            "T31 with a blank",
            refresh(id, &format!("{} ", ours.refresh), ""),
        ),
        ("T32 another client's", refresh(&other, &ours.refresh, "")),
        ("T32 a confidential client's", refresh(id, &theirs, "")),
    ];
    let unauthenticated = vec![(
        "T32 without its secret",
        refresh(&confidential, &theirs, ""),
    )];
    let out_of_scope = vec![
        (
            "T34 the client's, not granted",
            refresh(id, &ours.refresh, "write"),
        ),
        ("T34 wider", refresh(id, &ours.refresh, "read write")),
        ("T34 malformed", refresh(id, &ours.refresh, "\"canary7f")),
    ];
    let granted = vec![
        // None of these has spent it.
        ("the good one", refresh(id, &ours.refresh, "")),
    ];
    let rows = vec![
        group(400, grant, ungranted),
        group(401, "invalid_client", unauthenticated),
        group(400, scope, out_of_scope),
        group(200, "", granted),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 6749 §5.2, §6.
#[tokio::test]
async fn a_refresh_token_that_cannot_be_one_is_refused() {
    let app = spawn_app().await;
    let refresh = |token: &str| refresh_of(&app, &app.client_id, token);
    let named = ("client_id", app.client_id.as_str());
    let none = with_form(
        app.post("/oauth/token"),
        &[("grant_type", "refresh_token"), named],
    );
    let malformed = vec![("T30 none", none), ("T30 an empty one", refresh(""))];
    let ungranted = vec![
        ("T31 a short one", refresh("canary7f")),
        (
            "T31 an unknown one",
            refresh("canary7fxxxxxxxxxxxxxxxxxxxxxx"),
        ),
        ("T31 no ASCII", refresh("\u{e9}\0")),
        ("T31 an operator", refresh("{\"$ne\":null}")),
    ];
    let rows = vec![
        group(400, "invalid_request", malformed),
        group(400, "invalid_grant", ungranted),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 6749 §6; OWASP ASVS 10.4.8: rotation does not lengthen a refresh token's life.
#[tokio::test]
async fn a_refresh_token_past_its_lifetime_is_refused_though_just_rotated() {
    let app = spawn_app_with(&[("SENTINEL_REFRESH_TOKEN_EXPIRES_IN", "7200")]).await;
    let first = app.login().await;
    app.clock.advance(Duration::seconds(7_190));
    let second = app.refresh(&first.refresh).await.tokens();
    app.clock.advance(Duration::seconds(10));
    let ungranted = vec![
        (
            "T37 just rotated",
            refresh_of(&app, &app.client_id, &second.refresh),
        ),
        (
            "T31 expired",
            refresh_of(&app, &app.client_id, &first.refresh),
        ),
    ];
    let rows = vec![group(400, "invalid_grant", ungranted)];
    check(&ask(rows).await, token_answer_faults);
}

/// CVE-2023-22492: refresh tokens end with their user and their client.
#[tokio::test]
async fn the_refresh_token_of_a_gone_user_or_client_is_refused() {
    let disable = doc! { "$set": { "disabled": true } };
    let mut outcomes = Vec::new();
    for (name, collection, change) in [
        ("T33 user deleted", "users", None),
        ("T33 user disabled", "users", Some(&disable)),
        ("T33 client deleted", "clients", None),
        ("T33 client disabled", "clients", Some(&disable)),
    ] {
        let app = spawn_app().await;
        let tokens = app.login().await;
        let documents = raw_collection(&app, collection).await;
        match change {
            None => assert_eq!(
                documents.delete_one(doc! {}).await.unwrap().deleted_count,
                1
            ),
            Some(change) => {
                let changed = documents.update_one(doc! {}, change.clone()).await.unwrap();
                assert_eq!(changed.modified_count, 1);
            }
        }
        // Another server has not read the client yet.
        let sibling = app.sibling().await;
        let answer = answer(refresh_of(&sibling, &app.client_id, &tokens.refresh)).await;
        // A client that is gone cannot authenticate, which comes first (RFC 6749 §3.2.1).
        let expected = match collection {
            "users" => (400, "invalid_grant"),
            _ => (401, "invalid_client"),
        };
        let got = (answer.status.as_u16(), answer.error());
        let is_right = got == (expected.0, expected.1.to_owned());
        outcomes.push((name, is_right.then_some(()).ok_or(format!("{answer:?}"))));
    }
    check_each(&outcomes);
}

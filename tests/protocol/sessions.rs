//! What the record of a client says of its tokens: one session of a user or many, and lifetimes.

use std::time::Duration;

use warp_sentinel::domain::client::policy::Sessions;
use warp_sentinel::domain::client::{Client, ClientType, GrantType};

use crate::support::app::{AsConsole, TestApp, Tokens, USER, answer, spawn_app, spawn_app_with};

async fn login_to(app: &TestApp, client_id: &str) -> Tokens {
    let form = [
        ("grant_type", "password"),
        ("client_id", client_id),
        ("username", USER.0),
        ("password", USER.1),
    ];
    answer(app.post_form("/oauth/token", &form)).await.tokens()
}

async fn refresh_of(app: &TestApp, client_id: &str, token: &str) -> crate::support::app::Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("refresh_token", token),
    ];
    answer(app.post_form("/oauth/token", &form)).await
}

#[tokio::test]
async fn a_client_of_many_sessions_has_one_for_each_login_and_each_is_its_own_family() {
    let app = spawn_app().await;
    let many = |client: &mut Client| client.policy.sessions = Sessions::Many;
    let (id, _) = app.add_client_with(ClientType::Public, many).await;
    let (phone, tablet) = (login_to(&app, &id).await, login_to(&app, &id).await);
    // The only session with another client stands beside them.
    let other = app.login().await;
    let phone = refresh_of(&app, &id, &phone.refresh).await.tokens();
    for tokens in [&phone, &tablet, &other] {
        assert_eq!(app.verify(&tokens.access).await.status, 204);
    }
    let spent = refresh_of(&app, &id, &phone.refresh).await.tokens();
    app.answers_are_noted().await;
    app.clock.advance(time::Duration::seconds(11));
    let reused = refresh_of(&app, &id, &phone.refresh).await;
    assert_eq!(reused.error(), "invalid_grant");
    assert_eq!(app.verify(&spent.access).await.status, 401);
    assert_eq!(app.verify(&tablet.access).await.status, 204);
    let form = [
        ("client_id", id.as_str()),
        ("token", tablet.refresh.as_str()),
    ];
    assert_eq!(
        answer(app.post_form("/oauth/revoke", &form)).await.status,
        200
    );
    assert_eq!(app.verify(&tablet.access).await.status, 401);
    assert_eq!(app.verify(&other.access).await.status, 204);
}

#[tokio::test]
async fn all_sessions_of_a_user_end_together() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let many = |client: &mut Client| client.policy.sessions = Sessions::Many;
    let (id, _) = app.add_client_with(ClientType::Public, many).await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(login_to(&app, &id).await);
    }
    sessions[0] = refresh_of(&sibling, &id, &sessions[0].refresh)
        .await
        .tokens();
    sessions.push(app.login().await);
    let url = format!("{}/oauth/management/api/v1/tokens/revoke-all", app.url);
    let user = app.truth.users.find_user(USER.0).await.unwrap().unwrap().id;
    let body = serde_json::json!({ "user_id": user.to_string() });
    let ended = app.http.post(url).with_console_credentials().json(&body);
    let ended = answer(ended).await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    for tokens in &sessions {
        assert_eq!(app.verify(&tokens.access).await.status, 401);
        let refused = refresh_of(&sibling, &id, &tokens.refresh).await;
        assert_eq!(refused.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn a_clients_own_lifetimes_win_over_the_servers() {
    let app = spawn_app().await;
    let short = |client: &mut Client| {
        client.policy.access_lifetime = Some(Duration::from_mins(1));
        client.policy.refresh_lifetime = Some(Duration::from_mins(10));
    };
    let (id, _) = app.add_client_with(ClientType::Public, short).await;
    let tokens = login_to(&app, &id).await;
    assert_eq!(tokens.expires_in, 60);
    app.clock.advance(time::Duration::seconds(60));
    assert_eq!(app.verify(&tokens.access).await.status, 401);
    app.clock.advance(time::Duration::minutes(8));
    let rotated = refresh_of(&app, &id, &tokens.refresh).await.tokens();
    assert_eq!(rotated.expires_in, 60);
    // T37: it counts from the login on, however lately it was rotated.
    app.clock.advance(time::Duration::seconds(60));
    let refused = refresh_of(&app, &id, &rotated.refresh).await;
    assert_eq!(refused.error(), "invalid_grant");
}

/// RFC 9700 §4.14.2: "Refresh tokens SHOULD expire if the client has been inactive for some time".
#[tokio::test]
async fn an_unused_refresh_token_ends_before_the_login_and_a_used_one_with_it() {
    let settings = [
        ("SENTINEL_REFRESH_TOKEN_EXPIRES_IN", "10000"),
        ("SENTINEL_REFRESH_TOKEN_IDLE_EXPIRES_IN", "4000"),
    ];
    let app = spawn_app_with(&settings).await;
    let idle = app.login().await;
    app.clock.advance(time::Duration::seconds(4_000));
    assert_eq!(app.refresh(&idle.refresh).await.error(), "invalid_grant");
    let mut tokens = app.login().await;
    for _ in 0..3 {
        app.clock.advance(time::Duration::seconds(3_300));
        tokens = app.refresh(&tokens.refresh).await.tokens();
    }
    app.clock.advance(time::Duration::seconds(100));
    assert_eq!(app.refresh(&tokens.refresh).await.error(), "invalid_grant");
}

/// RFC 6749 §5.1, §6: a refresh token that its client may not use is not issued.
#[tokio::test]
async fn who_may_not_refresh_gets_no_refresh_token() {
    let app = spawn_app().await;
    let logs_in = |client: &mut Client| client.allowed_grant_types = vec![GrantType::Password];
    let (id, _) = app.add_client_with(ClientType::Public, logs_in).await;
    let form = [
        ("grant_type", "password"),
        ("client_id", id.as_str()),
        ("username", USER.0),
        ("password", USER.1),
    ];
    let issued = answer(app.post_form("/oauth/token", &form)).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    let body = issued.json();
    assert!(body.get("refresh_token").is_none(), "{body}");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(app.verify(token).await.status, 204);
}

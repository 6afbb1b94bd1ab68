//! The life of a token over HTTP: issued, verified, refreshed, replaced (RFC 6749 §4.3, §5, §6;
//! RFC 9700 §4.14.2).

use redis::AsyncCommands;
use time::Duration;

use crate::support::app::{TestApp, Tokens, spawn_app, spawn_app_with};

#[tokio::test]
async fn a_password_becomes_a_bearer_token() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert_eq!(tokens.expires_in, 3_600);
    assert_eq!(tokens.scope, "read");
    let answer = app.endpoint(&tokens.access).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        "You made it through and accessed the protected resource!"
    );
}

#[tokio::test]
async fn a_token_is_verified_from_the_local_copy_and_says_whose_it_is() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    for _ in 0..3 {
        let answer = app.verify(&tokens.access).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("x-username"), "jonas");
        assert_eq!(answer.header("x-client-id"), app.client_id);
        assert_eq!(answer.header("x-scope"), "read");
        assert_eq!(answer.header("x-user-id").len(), 24);
    }
}

#[tokio::test]
async fn redis_keeps_the_token_and_the_user_for_other_programs() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let user_id = app
        .verify(&tokens.access)
        .await
        .header("x-user-id")
        .to_owned();
    let (found, ttl) = read_as_eve(&app, &tokens.access).await;
    assert_eq!(found, Some(user_id));
    assert!((3_590..=3_600).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn a_second_login_ends_the_first_session_everywhere() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let first = app.login().await;
    for server in [&app, &sibling] {
        assert_eq!(server.verify(&first.access).await.status, 204);
    }
    app.login().await;
    assert_ended_everywhere(&app, &sibling, &first).await;
    assert_eq!(app.refresh(&first.refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_refresh_rotates_both_tokens_and_ends_the_old_ones() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let first = app.login().await;
    assert_eq!(sibling.verify(&first.access).await.status, 204);
    let second = app.refresh(&first.refresh).await.tokens();
    assert_ne!(second.access, first.access);
    assert_ne!(second.refresh, first.refresh);
    assert_ended_everywhere(&app, &sibling, &first).await;
    assert_eq!(sibling.verify(&second.access).await.status, 204);
}

#[tokio::test]
async fn a_repeated_refresh_within_ten_seconds_gets_the_same_successor() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    app.clock.advance(Duration::seconds(9));
    let again = app.refresh(&first.refresh).await.tokens();
    assert_eq!(
        (again.access, again.refresh),
        (second.access, second.refresh)
    );
    assert!(again.expires_in <= 3_591);
}

#[tokio::test]
async fn a_spent_refresh_token_ends_its_family_later() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    let third = app.refresh(&second.refresh).await.tokens();
    // Two rotations ago: the memory of ends tells its family.
    assert_eq!(app.refresh(&first.refresh).await.error(), "invalid_grant");
    assert_eq!(app.verify(&third.access).await.status, 401);
    assert_eq!(app.refresh(&third.refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_spent_over_ten_seconds_ago_ends_its_family() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    app.answers_are_noted().await;
    app.clock.advance(Duration::seconds(10));
    assert_eq!(app.refresh(&first.refresh).await.error(), "invalid_grant");
    assert_eq!(app.verify(&second.access).await.status, 401);
    assert_eq!(read_as_eve(&app, &second.access).await.0, None);
}

#[tokio::test]
async fn reuse_ends_only_its_own_family() {
    let app = spawn_app().await;
    app.add_user("other", "pass word 2").await;
    let other = app.login_as("other", "pass word 2").await.tokens();
    let first = app.login().await;
    app.refresh(&first.refresh).await.tokens();
    app.answers_are_noted().await;
    app.clock.advance(Duration::seconds(11));
    assert_eq!(app.refresh(&first.refresh).await.status, 400);
    assert_eq!(app.verify(&other.access).await.status, 204);
}

#[tokio::test]
async fn parallel_refreshes_over_two_servers_have_one_successor() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    for _ in 0..5 {
        let first = app.login().await;
        let asked = (0..20).map(|index| {
            let server = if index % 2 == 0 { &app } else { &sibling };
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", app.client_id.as_str()),
                ("refresh_token", first.refresh.as_str()),
            ];
            async move { server.token(&form).await }
        });
        let answers = futures_util::future::join_all(asked).await;
        let mut pairs: Vec<_> = answers
            .iter()
            .map(|answer| {
                assert_eq!(answer.status, 200, "{}", answer.body);
                let tokens = answer.tokens();
                (tokens.access, tokens.refresh)
            })
            .collect();
        pairs.dedup();
        assert_eq!(pairs.len(), 1);
    }
}

#[tokio::test]
async fn a_token_ends_by_the_clock_whatever_redis_says() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    app.clock.advance(Duration::seconds(3_601));
    let answer = app.verify(&tokens.access).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    assert!(read_as_eve(&app, &tokens.access).await.0.is_some());
}

#[tokio::test]
async fn a_refresh_token_ends_after_its_lifetime_however_often_it_is_rotated() {
    let app = spawn_app().await;
    let mut tokens = app.login().await;
    for _ in 0..2 {
        app.clock.advance(Duration::days(14));
        tokens = app.refresh(&tokens.refresh).await.tokens();
    }
    app.clock.advance(Duration::days(3));
    assert_eq!(app.refresh(&tokens.refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn scope_is_narrowed_for_one_access_token_and_never_widened() {
    let app = spawn_app().await;
    let form = [
        ("grant_type", "password"),
        ("client_id", app.client_id.as_str()),
        ("username", "jonas"),
        ("password", "pass word 1"),
        ("scope", "read write"),
    ];
    let first = app.token(&form).await.tokens();
    let narrow = |token: String, scope: &'static str| {
        let client_id = app.client_id.clone();
        let app = &app;
        async move {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", client_id.as_str()),
                ("refresh_token", token.as_str()),
                ("scope", scope),
            ];
            app.token(&form).await
        }
    };
    let second = narrow(first.refresh, "read").await.tokens();
    assert_eq!(second.scope, "read");
    assert_eq!(
        narrow(second.refresh.clone(), "admin").await.error(),
        "invalid_scope"
    );
    // The refresh token keeps the scope first granted (RFC 6749 §6).
    assert_eq!(
        app.refresh(&second.refresh).await.tokens().scope,
        "read write"
    );
}

#[tokio::test]
async fn a_revoked_token_is_ended_everywhere_with_its_pair() {
    let app = spawn_app().await;
    let sibling = app.sibling().await;
    let tokens = app.login().await;
    assert_eq!(sibling.verify(&tokens.access).await.status, 204);
    assert_eq!(app.revoke(&tokens.access).await.status, 204);
    assert_ended_everywhere(&app, &sibling, &tokens).await;
    assert_eq!(app.refresh(&tokens.refresh).await.error(), "invalid_grant");
    // An unknown token is no error, and a repeat is safe.
    assert_eq!(app.revoke(&tokens.access).await.status, 204);
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_its_access_token() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    assert_eq!(app.revoke(&tokens.refresh).await.status, 204);
    assert_eq!(app.verify(&tokens.access).await.status, 401);
    assert_eq!(read_as_eve(&app, &tokens.access).await.0, None);
}

#[tokio::test]
async fn a_revoked_spent_refresh_token_ends_what_descends_from_it() {
    let app = spawn_app().await;
    for rotations in 1..=2 {
        let first = app.login().await;
        let mut last = first.clone();
        for _ in 0..rotations {
            last = app.refresh(&last.refresh).await.tokens();
        }
        assert_eq!(app.verify(&last.access).await.status, 204);
        assert_eq!(app.revoke(&first.refresh).await.status, 204);
        assert_eq!(app.verify(&last.access).await.status, 401);
        assert_eq!(app.refresh(&last.refresh).await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn many_logins_of_one_user_at_once_are_all_answered() {
    let app = spawn_app().await;
    let logins = (0..40).map(|_| app.login_as("jonas", "pass word 1"));
    let mut live = 0;
    for answer in futures_util::future::join_all(logins).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let verified = app.verify(&answer.tokens().access).await.status;
        live += usize::from(verified == 204);
    }
    assert_eq!(live, 1);
}

#[tokio::test]
async fn tokens_and_the_memory_of_spent_ones_survive_a_restart() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    let third = app.refresh(&second.refresh).await.tokens();
    let next = app.sibling().await;
    let own_client = app.client_id.clone();
    app.stop().await;
    assert_eq!(next.verify(&third.access).await.status, 204);
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", next.client_id.as_str()),
        ("refresh_token", first.refresh.as_str()),
    ];
    // Another client than the tokens' own is refused, and ends nothing.
    assert_eq!(next.token(&form).await.error(), "invalid_grant");
    assert_eq!(next.verify(&third.access).await.status, 204);
    let own = [form[0], ("client_id", own_client.as_str()), form[2]];
    assert_eq!(next.token(&own).await.error(), "invalid_grant");
    assert_eq!(next.verify(&third.access).await.status, 401);
}

#[tokio::test]
async fn a_hash_with_fewer_rounds_is_made_anew_at_login() {
    let app = spawn_app_with(&[("SENTINEL_BCRYPT_COST", "5")]).await;
    app.login().await;
    let user = app.truth.users.find_user("jonas").await.unwrap().unwrap();
    let hash = user.password_hash.unwrap();
    assert!(
        hash.as_str().starts_with("$2b$05$"),
        "the rounds are not those of the setting"
    );
    app.login().await;
}

async fn assert_ended_everywhere(app: &TestApp, sibling: &TestApp, ended: &Tokens) {
    assert_eq!(app.verify(&ended.access).await.status, 401);
    assert_eq!(read_as_eve(app, &ended.access).await.0, None);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_millis(250);
    while sibling.verify(&ended.access).await.status != 401 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the other server goes on accepting it"
        );
    }
}

/// What a program that reads Redis by itself finds: the user, and the seconds left.
async fn read_as_eve(app: &TestApp, token: &str) -> (Option<String>, i64) {
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    (
        connection.get(token).await.unwrap(),
        connection.ttl(token).await.unwrap(),
    )
}

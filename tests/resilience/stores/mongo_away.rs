//! MongoDB is away or silent: live tokens that Redis proves go on, nothing else is decided, and
//! nothing acknowledged is lost.

use std::sync::OnceLock;

use ::redis::AsyncCommands;
use futures_util::future::join_all;

use super::*;
use crate::figures::tell;
use crate::support::app::Tokens;

#[tokio::test]
async fn known_tokens_verify_while_mongodb_is_away_and_nothing_else_is_decided() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
    bench.app.add_user("anna", "pass word 1").await;
    let of_anna = bench.app.login_as("anna", "pass word 1").await.tokens();
    let direct = stores().await.mongo_uri();
    bench.mongo.cut();
    // Not yet in the local copy, so Redis proves it; then from the copy.
    for _ in 0..3 {
        assert_eq!(bench.verify(&tokens.access).await, 204);
    }
    assert_eq!(bench.verify(&unknown('a')).await, 503);
    check_not_now(&timed(bench.app.refresh(&tokens.refresh)).await);
    check_not_now(&timed(bench.app.login_as("jonas", "pass word 1")).await);
    check_not_now(&timed(bench.app.login_as("jonas", "wrong")).await);
    let (revoked, took) = timed(bench.app.revoke(&tokens.access)).await;
    assert_eq!(revoked.status, 503, "{}", revoked.body);
    assert!(!revoked.header("retry-after").is_empty());
    assert!(took < TOKEN_DEADLINE, "took {took:?}");
    assert_eq!(bench.readiness().await, "unavailable");
    // It could not be ended, but nobody is let in by it as long as nobody knows.
    assert_eq!(bench.verify(&tokens.access).await, 503);
    let left: Option<String> = bench.raw_redis().await.get(&tokens.access).await.unwrap();
    assert_eq!(left, None);
    assert_eq!(bench.verify(&of_anna.access).await, 204);

    bench.mongo.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&unknown('a')).await, 401);
    assert_eq!(bench.verify(&tokens.access).await, 204);
    // The refresh that failed cost nothing.
    let next = bench.app.refresh(&tokens.refresh).await.tokens();
    assert_eq!(bench.verify(&next.access).await, 204);
    let other = bench
        .app
        .sibling_with(&[("SENTINEL_MONGO_URI", &direct)])
        .await;
    assert_eq!(other.verify(&next.access).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_tokens_verify_again_after_one_late_answer_of_redis_while_mongodb_is_away() {
    let bench = bench().await;
    bench.app.add_user("anna", "pass word 1").await;
    let tokens = bench.app.login().await;
    let of_anna = bench.app.login_as("anna", "pass word 1").await.tokens();
    let known = [&tokens.access, &of_anna.access];
    for token in known {
        assert_eq!(bench.verify(token).await, 204);
    }
    bench.mongo.cut();
    bench.becomes("unavailable").await;
    // Longer than Redis has for an answer, and than a shard goes without asking.
    bench.redis.hole();
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.redis.open();
    let opened = Instant::now();
    for token in known {
        while bench.verify(token).await != 204 {
            let waited = opened.elapsed();
            assert!(waited < Duration::from_secs(1), "not after {waited:?}");
        }
    }
    assert_eq!(bench.verify(&unknown('a')).await, 503);
    // What is ended now is ended, though nobody can write it down.
    assert_eq!(bench.app.revoke(&tokens.access).await.status, 503);
    assert_eq!(bench.verify(&tokens.access).await, 503);
    assert_eq!(bench.verify(&of_anna.access).await, 204);
    bench.mongo.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
}

#[tokio::test]
async fn a_silent_mongodb_holds_nobody_longer_than_the_deadlines() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
    bench.mongo.hole();
    assert_eq!(bench.verify(&tokens.access).await, 204);
    assert_eq!(bench.verify(&unknown('a')).await, 503);
    let (login, refresh) = tokio::join!(
        timed(bench.app.login_as("jonas", "pass word 1")),
        timed(bench.app.refresh(&tokens.refresh)),
    );
    check_not_now(&login);
    check_not_now(&refresh);
    assert_eq!(bench.verify(&tokens.access).await, 204);

    bench.mongo.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&unknown('a')).await, 401);
    let next = bench.app.refresh(&tokens.refresh).await;
    assert_eq!(next.status, 200, "{}", next.body);
}

#[tokio::test]
async fn nobody_is_let_in_while_both_stores_are_away() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
    bench.mongo.cut();
    bench.redis.cut();
    let deadline = Instant::now() + RECOVERED_WITHIN;
    while bench.verify(&tokens.access).await != 503 {
        assert!(
            Instant::now() < deadline,
            "served without a store to prove it"
        );
    }
    assert_eq!(bench.verify(&unknown('a')).await, 503);
    check_not_now(&timed(bench.app.login_as("jonas", "pass word 1")).await);
    bench.mongo.open();
    bench.redis.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
    assert_eq!(bench.app.refresh(&tokens.refresh).await.status, 200);
}

#[tokio::test]
async fn a_spent_refresh_token_is_refused_after_a_crash_and_a_flush_of_redis() {
    let bench = bench().await;
    let first = bench.app.login().await;
    let second = bench.app.refresh(&first.refresh).await.tokens();
    let third = bench.app.refresh(&second.refresh).await.tokens();
    let next = bench.app.sibling_with(&[]).await;
    let mut raw = bench.raw_redis().await;
    bench.app.kill();
    let _: () = ::redis::cmd("FLUSHDB").query_async(&mut raw).await.unwrap();

    assert_eq!(next.verify(&third.access).await.status, 204);
    assert_eq!(next.verify(&second.access).await.status, 401);
    assert_eq!(next.refresh(&first.refresh).await.error(), "invalid_grant");
    // The replay ended the family.
    assert_eq!(next.verify(&third.access).await.status, 401);
    assert_eq!(next.refresh(&third.refresh).await.error(), "invalid_grant");
}

/// Longer than any operation has, so that each has been given up once.
const SILENCE: Duration = Duration::from_secs(3);

/// What keeps MongoDB from answering while its address can be reached.
type Silence = fn(&Proxy);

#[tokio::test(flavor = "multi_thread")]
async fn all_goes_on_within_two_seconds_of_the_end_of_a_silence() {
    recovers_from(Proxy::hole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_goes_on_within_two_seconds_of_the_end_of_a_slowness() {
    recovers_from(|mongo| mongo.slow(Duration::from_secs(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_goes_on_within_two_seconds_of_the_return_of_mongodb() {
    recovers_from(Proxy::cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_forgotten_on_their_way_are_replaced_within_two_seconds() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
    let sessions = sessions(&bench.app).await;
    // They stay silent for ever; a new one is as good as ever.
    bench.mongo.forget_connections();
    let forgotten = Instant::now();
    let refreshed = join_all(sessions.iter().map(|own| refreshed(&bench.app, own)));
    let known = async {
        while forgotten.elapsed() < RECOVERED_WITHIN {
            assert_eq!(bench.verify(&tokens.access).await, 204);
        }
    };
    let (refreshed, ()) = tokio::join!(refreshed, known);
    let last = refreshed.into_iter().max().unwrap() - forgotten;
    tell(format_args!(
        "forgotten connections were replaced after {last:?}"
    ));
    assert!(last < RECOVERED_WITHIN, "after {last:?}");
    assert_eq!(bench.verify(&unknown('a')).await, 401);
}

/// Lets several clients refresh and log in through a silence, so that every
/// lane is full of requests that wait, and measures when each of them comes through after it.
async fn recovers_from(silence: Silence) {
    let bench = bench().await;
    let sessions = sessions(&bench.app).await;
    let opened = OnceLock::new();
    silence(&bench.mongo);
    let end = async {
        tokio::time::sleep(SILENCE).await;
        bench.mongo.open();
        opened.set(Instant::now()).unwrap();
    };
    let refreshes = join_all(sessions.iter().map(|own| refreshed(&bench.app, own)));
    let logins = join_all((0..sessions.len()).map(|_| logged_in(&bench.app)));
    let unknowns = join_all(('a'..='d').map(|letter| refused(&bench, letter)));
    let ((), refreshes, logins, unknowns) = tokio::join!(end, refreshes, logins, unknowns);
    let opened = *opened.get().unwrap();
    for (what, times) in [
        ("refresh", refreshes),
        ("login", logins),
        ("refusal", unknowns),
    ] {
        let last = times.into_iter().max().unwrap();
        // Before it means: while it was slow.
        let after = last.saturating_duration_since(opened);
        tell(format_args!(
            "the last {what} came through {after:?} after the end"
        ));
        assert!(after < RECOVERED_WITHIN, "{what} after {after:?}");
    }
}

async fn sessions(app: &TestApp) -> Vec<Tokens> {
    let mut sessions = Vec::new();
    for index in 0..8 {
        let name = format!("user{index}");
        app.add_user(&name, "pass word 1").await;
        sessions.push(app.login_as(&name, "pass word 1").await.tokens());
    }
    sessions
}

/// When a refresh came through.
async fn refreshed(app: &TestApp, session: &Tokens) -> Instant {
    came_through(|| app.refresh(&session.refresh)).await
}

/// When a login came through.
async fn logged_in(app: &TestApp) -> Instant {
    came_through(|| app.login_as("jonas", "pass word 1")).await
}

async fn came_through<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Instant {
    loop {
        let asked = timed(ask()).await;
        if asked.0.status == 200 {
            return Instant::now();
        }
        check_not_now(&asked);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// When an unknown token was refused.
async fn refused(bench: &Bench, letter: char) -> Instant {
    loop {
        let status = bench.verify(&unknown(letter)).await;
        if status == 401 {
            return Instant::now();
        }
        assert_eq!(status, 503);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

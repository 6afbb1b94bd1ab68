//! MongoDB is away or silent: live tokens that Redis proves go on, nothing else is decided, and
//! nothing acknowledged is lost.

use super::*;

#[tokio::test]
async fn known_tokens_verify_while_mongodb_is_away_and_nothing_else_is_decided() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
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
    assert_eq!(bench.readiness().await, "unavailable");
    assert_eq!(bench.verify(&tokens.access).await, 204);

    bench.mongo.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&unknown('a')).await, 401);
    // The refresh that failed cost nothing.
    let next = bench.app.refresh(&tokens.refresh).await.tokens();
    assert_eq!(bench.verify(&next.access).await, 204);
    let other = bench
        .app
        .sibling_with(&[("SENTINEL_MONGO_URI", &direct)])
        .await;
    assert_eq!(other.verify(&next.access).await.status, 204);
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

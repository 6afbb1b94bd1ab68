//! Redis is away or silent: the truth answers; what ended meanwhile is gone before Redis is
//! trusted again.

use ::redis::AsyncCommands;

use super::*;

#[tokio::test]
async fn the_server_starts_and_works_without_redis() {
    let bench = bench_with(&[], Proxy::cut).await;
    assert_eq!(bench.readiness().await, "degraded");
    let tokens = bench.app.login().await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
    assert_eq!(bench.verify(&unknown('a')).await, 401);
    let next = bench.app.refresh(&tokens.refresh).await.tokens();
    assert_eq!(bench.verify(&tokens.access).await, 401);
    bench.redis.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&next.access).await, 204);
    assert_eq!(bench.verify(&tokens.access).await, 401);
}

#[tokio::test]
async fn what_ended_while_redis_was_away_is_gone_before_it_is_trusted_again() {
    let bench = bench().await;
    let mut raw = bench.raw_redis().await;
    let first = bench.app.login().await;
    let (plain, companion) = keys(&first.access);
    let old: (String, String) = (
        raw.get(&plain).await.unwrap(),
        raw.get(&companion).await.unwrap(),
    );
    assert_eq!(bench.verify(&first.access).await, 204);

    bench.redis.cut();
    bench.becomes("degraded").await;
    assert_eq!(bench.verify(&first.access).await, 204);
    assert_eq!(bench.verify(&unknown('a')).await, 401);
    let second = bench.app.login().await;
    assert_eq!(bench.verify(&first.access).await, 401);
    // Redis comes back with old data, both keys as we wrote them, or was never told.
    let _: () = raw.set_ex(&plain, &old.0, 3_600).await.unwrap();
    let _: () = raw.set_ex(&companion, &old.1, 3_600).await.unwrap();

    bench.redis.open();
    let deadline = Instant::now() + RECOVERED_WITHIN;
    while bench.readiness().await != "ready" {
        assert_eq!(bench.verify(&first.access).await, 401);
        assert!(Instant::now() < deadline, "not trusted again");
    }
    let left: (Option<String>, Option<String>) = (
        raw.get(&plain).await.unwrap(),
        raw.get(&companion).await.unwrap(),
    );
    assert_eq!(left, (None, None));
    assert_eq!(bench.verify(&first.access).await, 401);
    assert_eq!(bench.verify(&second.access).await, 204);
}

#[tokio::test]
async fn a_silent_redis_delays_nothing_beyond_its_deadlines() {
    let bench = bench_with(&[("SENTINEL_CACHE_SHARDS", "1")], Proxy::open).await;
    let first = bench.app.login().await;
    bench.redis.hole();
    // The first to meet the silence wait for Redis' part of the deadline, then for the truth.
    assert_eq!(bench.verify(&unknown('b')).await, 401);
    assert_eq!(bench.verify(&first.access).await, 204);
    let (second, took) = timed(bench.app.refresh(&first.refresh)).await;
    assert!(took < Duration::from_secs(1), "took {took:?}");
    let second = second.tokens();
    assert_eq!(bench.verify(&first.access).await, 401);
    assert_eq!(bench.verify(&second.access).await, 204);
    // What was held back arrives late; no answer to another question may come of it.
    bench.redis.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&first.access).await, 401);
    assert_eq!(bench.verify(&second.access).await, 204);
    assert_eq!(bench.verify(&unknown('c')).await, 401);
}

#[tokio::test]
async fn a_server_that_hears_no_more_of_redis_serves_no_ended_token() {
    let bench = bench().await;
    let sibling = bench
        .app
        .sibling_with(&[("SENTINEL_REDIS_URL", &bench.direct_redis_url)])
        .await;
    let first = bench.app.login().await;
    assert_eq!(bench.verify(&first.access).await, 204);
    bench.redis.hole();
    // Only the other server learns of the end; ours has no reason to ask Redis anything.
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", bench.app.client_id.as_str()),
        ("refresh_token", first.refresh.as_str()),
    ];
    assert_eq!(sibling.token(&form).await.status, 200);
    let deadline = Instant::now() + Duration::from_secs(1);
    while bench.verify(&first.access).await == 204 {
        assert!(Instant::now() < deadline, "an ended token is served on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.verify(&first.access).await, 401);
}

fn keys(token: &str) -> (String, String) {
    (token.to_owned(), format!("sentinel:{{{token}}}"))
}

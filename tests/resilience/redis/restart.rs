//! Redis dies and comes back: empty, or with data of an earlier time in which ended tokens live.

use super::*;
use crate::alone::serial;
use crate::support::length::number;

/// Tokens that a flush takes, where `SENTINEL_TEST_PUT_BACK` does not set their number.
const LOST: usize = 200;
/// How long it may take until they are back: promised are five seconds for 10,000.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_changes_no_decision() {
    let mut bench = bench(&[]).await;
    let pairs = users(&bench.app, "user", 8).await;
    let (live, old) = (access(&pairs[..6]), access(&pairs[6..]));
    for token in &old {
        assert_eq!(bench.app.revoke(token).await.status, 204);
    }
    bench.redis.kill();
    becomes(&bench.app, "degraded", PATIENCE).await;
    check_live(&bench.app, &live).await;
    check_ended(&bench.app, &old).await;
    let issued = bench.app.login().await;
    let next = bench.app.refresh(&issued.refresh).await.tokens();
    check_ended(&bench.app, &[&issued.access]).await;

    bench.redis.restart().await;
    let took = becomes(&bench.app, "ready", TRUSTED_WITHIN).await;
    tell("an empty Redis is back until it is trusted", took);
    check_live(&bench.app, &live).await;
    check_live(&bench.app, &[&next.access]).await;
    check_ended(&bench.app, &old).await;
    let mut link = raw(bench.redis.address()).await;
    assert_eq!(keys_of(&mut link, &old).await, 0);
    assert_eq!(keys_of(&mut link, &[&issued.access]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_dump_brings_no_ended_token_back() {
    let mut bench = bench(&[]).await;
    let sibling = bench.app.sibling_with(&[]).await;
    becomes(&sibling, "ready", PATIENCE).await;
    let pairs = users(&bench.app, "user", 24).await;
    let (live, ended) = (access(&pairs[..8]), access(&pairs[8..]));
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "SAVE").await;
    for pair in &pairs[8..12] {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 204);
    }
    for pair in &pairs[12..16] {
        assert_eq!(bench.app.refresh(&pair.refresh).await.status, 200);
    }
    bench.redis.kill();
    becomes(&bench.app, "degraded", PATIENCE).await;
    // These end while Redis is away; a revocation is then not confirmed, and an end all the same.
    for pair in &pairs[16..20] {
        assert_eq!(bench.app.refresh(&pair.refresh).await.status, 200);
    }
    for pair in &pairs[20..] {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 503);
    }
    bench.redis.restart().await;
    let back = Instant::now();
    let mut waiting = vec![&bench.app, &sibling];
    while !waiting.is_empty() {
        assert!(back.elapsed() < TRUSTED_WITHIN, "not trusted again");
        for server in [&bench.app, &sibling] {
            check_ended(server, &ended).await;
        }
        let mut still = Vec::new();
        for server in waiting {
            if readiness(server).await == "ready" {
                // Whoever reads Redis itself lets none of them in either.
                let mut link = raw(bench.redis.address()).await;
                assert_eq!(keys_of(&mut link, &ended).await, 0);
            } else {
                still.push(server);
            }
        }
        waiting = still;
    }
    tell("an old dump is back until it is trusted", back.elapsed());
    for server in [&bench.app, &sibling] {
        check_ended(server, &ended).await;
        check_live(server, &live).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_dump_brings_nothing_back_although_a_clock_stood_ahead_when_it_came() {
    let mut bench = bench(&[]).await;
    let pairs = users(&bench.app, "user", 8).await;
    let (live, ended) = (access(&pairs[..4]), access(&pairs[4..]));
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "SAVE").await;
    for token in &ended {
        assert_eq!(bench.app.revoke(token).await.status, 204);
    }
    bench.redis.kill();
    becomes(&bench.app, "degraded", PATIENCE).await;
    // To this clock all of them have expired, so that no end seems worth carrying out.
    bench.app.clock.advance(time::Duration::hours(2));
    bench.redis.restart().await;
    becomes(&bench.app, "ready", PATIENCE).await;
    bench.app.clock.advance(-time::Duration::hours(2));
    let right = Instant::now();
    let mut link = raw(bench.redis.address()).await;
    while keys_of(&mut link, &ended).await > 0 {
        assert!(right.elapsed() < TRUSTED_WITHIN, "ended tokens are back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    becomes(&bench.app, "ready", PATIENCE).await;
    check_ended(&bench.app, &ended).await;
    check_live(&bench.app, &live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_emptied_redis_lost_is_put_back_without_being_used() {
    let _alone = serial().await;
    let count = number("SENTINEL_TEST_PUT_BACK", LOST);
    let bench = bench(&[]).await;
    let pairs = users(&bench.app, "user", count).await;
    let (ended, live) = pairs.split_at(5);
    for pair in ended {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 204);
    }
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "FLUSHDB").await;
    let flushed = Instant::now();
    let live = access(live);
    while keys_of(&mut link, &live).await < 2 * live.len() {
        assert!(flushed.elapsed() < PUT_BACK_WITHIN, "not put back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tell("emptied until all are put back", (count, flushed.elapsed()));
    assert_eq!(keys_of(&mut link, &access(ended)).await, 0);
    check_ended(&bench.app, &access(ended)).await;
}

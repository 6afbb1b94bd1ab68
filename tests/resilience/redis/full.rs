//! Redis has no room: it refuses tokens, or drops some to take others.

use warp_sentinel::telemetry::metrics;

use super::*;

/// How many tokens were refused so far, over all servers of this process.
fn refused() -> u64 {
    let text = metrics::render();
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("cache_tokens_refused_total "));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_costs_no_request_and_no_end() {
    let bench = bench(&["--maxmemory-policy", "noeviction"]).await;
    metrics::install().unwrap();
    let sibling = bench.app.sibling_with(&[]).await;
    let pairs = users(&bench.app, "user", 6).await;
    let mut link = raw(bench.redis.address()).await;
    check_live(&sibling, &access(&pairs)).await;
    say(&mut link, "CONFIG SET maxmemory 1").await;
    let before = refused();

    let issued = users(&bench.app, "late", 4).await;
    check_live(&bench.app, &access(&issued)).await;
    check_live(&sibling, &access(&issued)).await;
    assert!(refused() >= before + 4, "{} after {before}", refused());
    for pair in &pairs[..3] {
        let next = bench.app.refresh(&pair.refresh).await;
        assert_eq!(next.status, 200, "{}", next.body);
        check_live(&sibling, &[&next.tokens().access]).await;
    }
    for pair in &pairs[3..] {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 204);
    }
    assert_eq!(keys_of(&mut link, &access(&pairs)).await, 0);
    check_ended(&bench.app, &access(&pairs)).await;
    ended_elsewhere(&sibling, &access(&pairs)).await;
    // No connection was dropped for it.
    assert_eq!(readiness(&bench.app).await, "ready");
    assert_eq!(connections(&mut link).await, 0);

    say(&mut link, "CONFIG SET maxmemory 0").await;
    check_live(&bench.app, &access(&issued)).await;
    all_are_there(&mut link, &access(&issued)).await;
}

/// Waits until another program finds all these tokens.
async fn all_are_there(link: &mut MultiplexedConnection, tokens: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    while keys_of(link, tokens).await < 2 * tokens.len() {
        assert!(Instant::now() < deadline, "not all are put back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_redis_refused_is_put_back_without_being_used() {
    let bench = bench(&["--maxmemory-policy", "noeviction"]).await;
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "CONFIG SET maxmemory 1").await;
    let refused = users(&bench.app, "late", 4).await;
    assert_eq!(keys_of(&mut link, &access(&refused)).await, 0);
    say(&mut link, "CONFIG SET maxmemory 0").await;
    all_are_there(&mut link, &access(&refused)).await;
    assert_eq!(connections(&mut link).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_evicts_is_decided_by_the_truth() {
    let bench = bench(&["--maxmemory-policy", "allkeys-lru"]).await;
    let mut link = raw(bench.redis.address()).await;
    let Value::BulkString(info) = say(&mut link, "INFO memory").await else {
        panic!("no INFO")
    };
    let info = String::from_utf8(info).unwrap();
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let most = used.unwrap().parse::<u64>().unwrap() + 48 * 1_024;
    say(&mut link, &format!("CONFIG SET maxmemory {most}")).await;

    let pairs = users(&bench.app, "user", 150).await;
    let there = keys_of(&mut link, &access(&pairs)).await;
    assert!(there < 2 * pairs.len(), "nothing was evicted: {there} keys");
    check_live(&bench.app, &access(&pairs)).await;
    let (rotated, revoked) = pairs.split_at(75);
    for pair in &rotated[..10] {
        assert_eq!(bench.app.refresh(&pair.refresh).await.status, 200);
    }
    for pair in &revoked[..10] {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 204);
    }
    for ended in [&rotated[..10], &revoked[..10]] {
        check_ended(&bench.app, &access(ended)).await;
        assert_eq!(keys_of(&mut link, &access(ended)).await, 0);
    }
    check_live(&bench.app, &access(&rotated[10..])).await;
    check_live(&bench.app, &access(&revoked[10..])).await;
    assert_eq!(readiness(&bench.app).await, "ready");
}

/// Waits until another server has heard of all these ends; one second is the hard limit.
async fn ended_elsewhere(server: &TestApp, tokens: &[&str]) {
    let started = Instant::now();
    for token in tokens {
        while server.verify(token).await.status == 204 {
            assert!(started.elapsed() < Duration::from_secs(1), "never heard");
        }
    }
}

/// How many connections this Redis refused or lost to a fault of ours: those that were made since
/// the servers started, less those that are there.
async fn connections(link: &mut MultiplexedConnection) -> u64 {
    let Value::BulkString(info) = say(link, "INFO").await else {
        panic!("no INFO")
    };
    let info = String::from_utf8(info).unwrap();
    let field = |name: &str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().parse::<u64>().unwrap()
    };
    // The harness connects once to see whether it listens.
    field("total_connections_received:") - field("connected_clients:") - 1
}

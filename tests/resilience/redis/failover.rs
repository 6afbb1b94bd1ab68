//! A primary becomes a replica, and what it had acknowledged is lost: ended tokens are back.

use super::*;
use crate::proxy::Proxy;
use crate::support::app::USER;

/// How long a primary may be read after it has become a replica: the pause between two signs of
/// life, and twice that for a debug build on a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_millis(250 + 500);

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_becomes_a_replica_is_left_and_taken_up_again() {
    let bench = bench(&[]).await;
    let pairs = users(&bench.app, "user", 4).await;
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "REPLICAOF 127.0.0.1 1").await;
    // Without a write that it would refuse.
    let took = becomes(&bench.app, "degraded", NOTICED_WITHIN).await;
    tell("a primary is a replica until it is left", took);
    check_live(&bench.app, &access(&pairs)).await;
    let next = bench.app.refresh(&pairs[0].refresh).await.tokens();
    check_ended(&bench.app, &[&pairs[0].access]).await;
    check_live(&bench.app, &[&next.access]).await;
    assert_eq!(bench.app.revoke(&pairs[1].access).await.status, 503);
    assert_eq!(readiness(&bench.app).await, "degraded");

    say(&mut link, "REPLICAOF NO ONE").await;
    becomes(&bench.app, "ready", TRUSTED_WITHIN).await;
    let ended = access(&pairs[..2]);
    assert_eq!(keys_of(&mut link, &ended).await, 0);
    check_ended(&bench.app, &ended).await;
    assert_eq!(bench.app.revoke(&pairs[1].access).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_meets_a_replica_leaves_it_at_once() {
    let bench = bench(&[]).await;
    let first = bench.app.login().await;
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "REPLICAOF 127.0.0.1 1").await;
    let second = bench.app.login_as(USER.0, USER.1).await;
    assert_eq!(second.status, 200, "{}", second.body);
    check_live(&bench.app, &[&second.tokens().access]).await;
    check_ended(&bench.app, &[&first.access]).await;
    becomes(&bench.app, "degraded", NOTICED_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_that_a_failover_lost_are_carried_out_before_it_is_trusted() {
    let bench = bench(&["--repl-diskless-sync-delay", "0"]).await;
    let primary = bench.redis.address();
    let sibling = bench.app.sibling_with(&[]).await;
    let pairs = users(&bench.app, "user", 12).await;
    let (live, ended) = (access(&pairs[..4]), access(&pairs[4..]));
    // The replica has all tokens, and hears of no end.
    let replica = start_redis(&["--repl-diskless-sync-delay", "0"]).await;
    let between = Proxy::before(primary).await;
    let (mut link, mut behind) = (raw(primary).await, raw(replica.address()).await);
    follow(&mut behind, between.address()).await;
    holds(&mut behind, &access(&pairs)).await;
    between.cut();
    for pair in &pairs[4..8] {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 204);
    }
    for pair in &pairs[8..] {
        assert_eq!(bench.app.refresh(&pair.refresh).await.status, 200);
    }
    assert_eq!(keys_of(&mut link, &ended).await, 0);

    // It is promoted, and the old primary follows it and gets its data.
    say(&mut behind, "REPLICAOF NO ONE").await;
    follow(&mut link, replica.address()).await;
    holds(&mut link, &ended).await;
    check_ended(&bench.app, &ended).await;
    becomes(&bench.app, "degraded", NOTICED_WITHIN).await;
    say(&mut link, "REPLICAOF NO ONE").await;
    let back = Instant::now();
    while readiness(&bench.app).await != "ready" || readiness(&sibling).await != "ready" {
        assert!(back.elapsed() < TRUSTED_WITHIN, "not trusted again");
        check_ended(&bench.app, &ended).await;
        check_ended(&sibling, &ended).await;
    }
    tell("a failover is over until it is trusted", back.elapsed());
    assert_eq!(keys_of(&mut link, &ended).await, 0);
    for server in [&bench.app, &sibling] {
        check_ended(server, &ended).await;
        check_live(server, &live).await;
    }
}

async fn follow(link: &mut MultiplexedConnection, primary: SocketAddr) {
    let words = format!("REPLICAOF {} {}", primary.ip(), primary.port());
    say(link, &words).await;
}

/// Waits until a server has all keys of these tokens.
async fn holds(link: &mut MultiplexedConnection, tokens: &[&str]) {
    let started = Instant::now();
    while keys_of(link, tokens).await != 2 * tokens.len() {
        assert!(started.elapsed() < PATIENCE, "the data never came");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

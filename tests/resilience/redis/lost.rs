//! The connection by which Redis tells of changes is lost: nothing is served that it told of.

use futures_util::future::join_all;

use super::*;
use crate::alone::serial;
use crate::figures::spread;

/// How long another server may go on accepting an ended token, in 99 of 100 cases.
const HEARD_WITHIN: Duration = Duration::from_millis(250);
/// The hard limit.
const HEARD_AT_MOST: Duration = Duration::from_secs(1);
const ROUNDS: usize = 40;

/// Ends all connections but that of the test.
async fn kill_connections(link: &mut MultiplexedConnection) {
    say(link, "CLIENT KILL TYPE normal SKIPME yes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_elsewhere_is_obeyed_although_connections_are_lost() {
    let _alone = serial().await;
    let bench = bench(&[]).await;
    let sibling = bench.app.sibling_with(&[]).await;
    let mut link = raw(bench.redis.address()).await;
    let mut live = bench.app.login().await;
    let mut heard = Vec::new();
    for round in 0..ROUNDS {
        check_live(&sibling, &[&live.access]).await;
        // Before the end, after it, and in the same moment.
        if round % 3 == 0 {
            kill_connections(&mut link).await;
        }
        let kill = async {
            if round % 3 == 1 {
                kill_connections(&mut link).await;
            }
        };
        let (next, ()) = tokio::join!(bench.app.refresh(&live.refresh), kill);
        let ended = Instant::now();
        assert_eq!(next.status, 200, "{}", next.body);
        if round % 3 == 2 {
            kill_connections(&mut link).await;
        }
        check_ended(&bench.app, &[&live.access]).await;
        while sibling.verify(&live.access).await.status == 204 {
            assert!(ended.elapsed() < HEARD_AT_MOST, "never heard of it");
        }
        heard.push(ended.elapsed());
        live = next.tokens();
    }
    let (median, p99, most) = spread(&mut heard);
    tell(
        "ends obeyed elsewhere while connections are lost",
        (median, p99, most),
    );
    assert!(p99 < HEARD_WITHIN + HEARD_WITHIN, "{p99:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_elsewhere_is_obeyed_within_a_quarter_of_a_second() {
    let _alone = serial().await;
    let bench = bench(&[]).await;
    let sibling = bench.app.sibling_with(&[]).await;
    becomes(&sibling, "ready", PATIENCE).await;
    let mut pairs = users(&bench.app, "user", 8).await;
    let mut heard = Vec::new();
    for _ in 0..ROUNDS {
        let rounds = pairs
            .iter()
            .map(|pair| end_and_listen(&bench.app, &sibling, pair));
        for (next, took) in join_all(rounds).await {
            heard.push(took);
            pairs.push(next);
        }
        pairs.drain(..8);
    }
    let (median, p99, most) = spread(&mut heard);
    tell("ends obeyed elsewhere", (median, p99, most));
    assert!(
        p99 < HEARD_WITHIN && most < HEARD_AT_MOST,
        "{p99:?} {most:?}"
    );
}

async fn end_and_listen(app: &TestApp, sibling: &TestApp, pair: &Tokens) -> (Tokens, Duration) {
    check_live(sibling, &[&pair.access]).await;
    let next = app.refresh(&pair.refresh).await;
    let ended = Instant::now();
    assert_eq!(next.status, 200, "{}", next.body);
    while sibling.verify(&pair.access).await.status == 204 {
        assert!(ended.elapsed() < PATIENCE, "never heard of it");
    }
    (next.tokens(), ended.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_locally_once_the_connection_is_gone() {
    let mut bench = bench(&[]).await;
    let pairs = users(&bench.app, "user", 4).await;
    check_live(&bench.app, &access(&pairs)).await;
    // Ended in the truth by another server while there is no Redis to tell of it.
    let sibling = bench.app.sibling_with(&[]).await;
    bench.redis.kill();
    becomes(&bench.app, "degraded", HEARD_WITHIN + PATIENCE).await;
    becomes(&sibling, "degraded", PATIENCE).await;
    for pair in &pairs {
        assert_eq!(sibling.refresh(&pair.refresh).await.status, 200);
        assert_eq!(bench.app.verify(&pair.access).await.status, 401);
    }
}

//! Redis is away or silent: the truth answers; what ended meanwhile is gone before Redis is
//! trusted again.

use ::redis::AsyncCommands;
use futures_util::future::join_all;
use warp_sentinel::domain::client::ClientType;

use super::*;
use crate::alone::serial;
use crate::figures::{spread, tell};
use crate::support::app::{Tokens, USER};

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

/// How long another server may go on accepting an ended token: the promised quarter of a second, and
/// as much for a debug build on a busy machine.
const HEARD_WITHIN: Duration = Duration::from_millis(250 + 250);
/// How long it may take until a Redis that is back has what it lacked: several looks.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(10);
/// How often the connection is lost, each time at another moment between two signs of life.
const LOSSES: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hears_no_more_of_redis_serves_no_ended_token() {
    let _alone = serial().await;
    let bench = bench().await;
    let sibling = sibling(&bench).await;
    let mut pair = bench.app.login().await;
    let mut heard = Vec::new();
    for _ in 0..LOSSES {
        assert_eq!(bench.verify(&pair.access).await, 204);
        bench.redis.hole();
        // Only the other server learns of the end; ours has no reason to ask Redis anything.
        let next = refresh_at(&sibling, &bench, &pair.refresh).await;
        let ended = Instant::now();
        while bench.verify(&pair.access).await == 204 {
            let late = ended.elapsed();
            assert!(late < HEARD_WITHIN, "an ended token is served on: {late:?}");
        }
        heard.push(ended.elapsed());
        assert_eq!(bench.verify(&pair.access).await, 401);
        bench.redis.open();
        bench.becomes("ready").await;
        pair = next;
    }
    tell(format_args!(
        "ends obeyed by a server that Redis was lost to after {:?}",
        spread(&mut heard)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_by_a_server_that_is_cut_off_from_redis_is_soon_obeyed_by_the_others() {
    let _alone = serial().await;
    let bench = bench().await;
    let sibling = sibling(&bench).await;
    let mut heard = Vec::new();
    for _ in 0..LOSSES {
        let pair = bench.app.login().await;
        assert_eq!(sibling.verify(&pair.access).await.status, 204);
        bench.redis.cut();
        bench.becomes("degraded").await;
        let ended = refresh_at(&bench.app, &bench, &pair.refresh).await;
        let answered = Instant::now();
        while sibling.verify(&pair.access).await.status == 204 {
            let late = answered.elapsed();
            assert!(late < HEARD_WITHIN, "it is served on: {late:?}");
        }
        heard.push(answered.elapsed());
        assert_eq!(sibling.verify(&ended.access).await.status, 204);
        bench.redis.open();
        bench.becomes("ready").await;
    }
    tell(format_args!(
        "ends by a server that Redis was lost to obeyed elsewhere after {:?}",
        spread(&mut heard)
    ));
}

/// Another server, whose Redis has no proxy before it.
async fn sibling(bench: &Bench) -> TestApp {
    let direct = [("SENTINEL_REDIS_URL", bench.direct_redis_url.as_str())];
    bench.app.sibling_with(&direct).await
}

async fn refresh_at(server: &TestApp, bench: &Bench, refresh_token: &str) -> Tokens {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", bench.app.client_id.as_str()),
        ("refresh_token", refresh_token),
    ];
    let answer = server.token(&form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.tokens()
}

/// More tokens than one look for lost ones takes at a time.
const SINCE: usize = 510;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_issued_without_redis_is_put_back_however_much_was_issued_since() {
    let _alone = serial().await;
    let bench = bench().await;
    let sibling = sibling(&bench).await;
    bench.redis.cut();
    bench.becomes("degraded").await;
    let early = bench.app.login().await;
    for _ in 0..SINCE / 10 {
        let logins = (0..10).map(async |_| {
            let (client_id, _) = sibling.add_client(ClientType::Public).await;
            let form = [
                ("grant_type", "password"),
                ("client_id", client_id.as_str()),
                ("username", USER.0),
                ("password", USER.1),
            ];
            assert_eq!(sibling.token(&form).await.status, 200);
        });
        join_all(logins).await;
    }
    let mut raw = bench.raw_redis().await;
    let (plain, companion) = keys(&early.access);
    let left: usize = raw.exists((&plain, &companion)).await.unwrap();
    assert_eq!(left, 0);
    bench.redis.open();
    let opened = Instant::now();
    while raw.exists::<_, usize>((&plain, &companion)).await.unwrap() < 2 {
        assert!(opened.elapsed() < PUT_BACK_WITHIN, "it is not put back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn keys(token: &str) -> (String, String) {
    (token.to_owned(), format!("sentinel:{{{token}}}"))
}

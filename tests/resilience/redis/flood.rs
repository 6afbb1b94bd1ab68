//! A flood of tokens that nobody issued: malformed ones reach no store, unknown ones do not crowd
//! the truth, and live ones do not notice.
//!
//! `SENTINEL_TEST_FLOOD` sets how many unknown tokens are offered.

use futures_util::future::join_all;
use tokio::task::JoinSet;
use warp_sentinel::Sentinel;

use super::flush::Profile;
use super::*;
use crate::alone::serial;
use crate::figures::spread;
use crate::support::length::number;

/// Malformed tokens offered.
const MALFORMED: usize = 20_000;
/// Unknown tokens offered where their number is not set.
const UNKNOWN: usize = 4_000;
/// Unknown tokens offered at once, more than may wait for the truth.
const AT_ONCE: usize = 300;
/// Most tokens that one shard asks the truth for at once.
const TRUTH_BATCH: usize = 64;
/// What the stores, on the same two processors as a debug build, may add to a verification; one
/// that waited for the truth would miss its deadline of 250 ms.
const SLACK: Duration = Duration::from_millis(100);

/// A token that could be one of ours, if `prefix` is a letter.
fn unknown(prefix: char, number: usize) -> String {
    format!("{prefix}{number:029}")
}

/// How often Redis was asked for tokens.
async fn asked(link: &mut MultiplexedConnection) -> u64 {
    let Value::BulkString(info) = say(link, "INFO commandstats").await else {
        panic!("no INFO")
    };
    let info = String::from_utf8(info).unwrap();
    let calls = info
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_tokens_reach_no_store() {
    let bench = bench(&[]).await;
    let profile = Profile::of(&bench.app).await;
    let mut link = raw(bench.redis.address()).await;
    let before = asked(&mut link).await;
    let routes = bench.app.sentinel.routes();
    for number in 0..MALFORMED {
        let token = match number % 5 {
            0 => format!("{number:029}"),
            1 => format!("{number:031}"),
            2 => format!("{number:029}-"),
            3 => format!("{number:029}\u{e9}"),
            _ => format!("{number:060000}")[..2_000].to_owned(),
        };
        let request = warp::test::request().path("/oauth/verify");
        let request = request.header("authorization", format!("Bearer {token}"));
        let status = request.reply(&routes).await.status();
        assert!(status == 401 || status == 400, "{status} for {token:?}");
    }
    assert_eq!(asked(&mut link).await, before);
    assert_eq!(profile.look_ups().await, Vec::<Vec<String>>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_tokens_is_capped_and_live_ones_do_not_notice() {
    let _alone = serial().await;
    let count = number("SENTINEL_TEST_FLOOD", UNKNOWN);
    let bench = bench(&[]).await;
    let pairs = users(&bench.app, "user", 8).await;
    check_live(&bench.app, &access(&pairs)).await;
    // The same work for the processors, none for the stores.
    let malformed = flood(bench.app.sentinel.clone(), '-', count);
    let (quiet, _) = while_verifying(&bench.app, &pairs, malformed).await;
    let profile = Profile::of(&bench.app).await;
    let unknown = flood(bench.app.sentinel.clone(), 'u', count);
    let (beside, (refused, shed)) = while_verifying(&bench.app, &pairs, unknown).await;
    tell(
        "beside a flood of malformed tokens, of unknown ones",
        (quiet, beside),
    );
    tell("unknown tokens refused, shed", (refused, shed));
    assert!(refused > 0, "nothing was decided");
    assert!(
        beside.1 <= 2 * quiet.1 + SLACK,
        "{beside:?} after {quiet:?}"
    );
    let look_ups = profile.look_ups().await;
    let widest = look_ups.iter().map(Vec::len).max().unwrap_or_default();
    assert!(widest <= TRUTH_BATCH, "{widest} at once");
}

#[tokio::test]
async fn an_unknown_token_that_is_asked_for_again_does_not_reach_the_truth_again() {
    let bench = bench(&[]).await;
    let profile = Profile::of(&bench.app).await;
    let token = unknown('v', 1);
    let started = Instant::now();
    let mut times = 0;
    while started.elapsed() < Duration::from_millis(900) {
        assert_eq!(bench.app.verify(&token).await.status, 401);
        times += 1;
    }
    assert!(times > 10, "asked {times} times only");
    assert_eq!(profile.look_ups().await.len(), 1);
}

/// Offers tokens that nobody issued, and tells how many were refused and shed.
async fn flood(sentinel: Sentinel, prefix: char, count: usize) -> (usize, usize) {
    let routes = sentinel.routes();
    let (mut refused, mut shed) = (0, 0);
    for start in (0..count).step_by(AT_ONCE) {
        let wave = (start..start + AT_ONCE).map(|number| {
            let request = warp::test::request().path("/oauth/verify");
            let bearer = format!("Bearer {}", unknown(prefix, number));
            request.header("authorization", bearer).reply(&routes)
        });
        for answer in join_all(wave).await {
            match answer.status().as_u16() {
                400 | 401 => refused += 1,
                503 => shed += 1,
                other => panic!("{other} for a token that nobody issued"),
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (refused, shed)
}

/// Verifies live tokens from four clients while something goes on. Tells the median, the 99th of
/// 100 and the longest.
async fn while_verifying<T: Send + 'static>(
    app: &TestApp,
    pairs: &[Tokens],
    what: impl Future<Output = T> + Send + 'static,
) -> ((Duration, Duration, Duration), T) {
    let (done, watched) = tokio::sync::watch::channel(false);
    let clients = pairs.chunks(2).map(|own| {
        let done = watched.clone();
        async move {
            let mut took = Vec::new();
            while !*done.borrow() {
                for pair in own {
                    let started = Instant::now();
                    let status = app.verify(&pair.access).await.status;
                    assert!(status == 204 || status == 503, "{status} for a live token");
                    took.push((started.elapsed(), status == 204));
                }
            }
            took
        }
    });
    // A task of its own: otherwise those who verify would wait for it to be polled.
    let mut beside = JoinSet::new();
    beside.spawn(what);
    let what = async {
        let result = beside.join_next().await.unwrap().unwrap();
        done.send_replace(true);
        result
    };
    let (took, result) = tokio::join!(join_all(clients), what);
    let took = took.concat();
    let unavailable = took.iter().filter(|(_, is_live)| !is_live).count();
    // On a busy machine Redis may miss its part of a deadline, and all of them ask the truth.
    assert!(
        unavailable * 100 <= took.len(),
        "{unavailable} of {}",
        took.len()
    );
    let mut took: Vec<Duration> = took.into_iter().map(|(took, _)| took).collect();
    (spread(&mut took), result)
}

//! Redis is there and does not answer in time: the truth answers, once it was noticed at once, and
//! no late reply is taken for another.

use futures_util::future::join_all;

use super::*;
use crate::alone::serial;
use crate::figures::spread;

/// The part of a verification's deadline that Redis has, before the truth is asked.
const REDIS_BUDGET: Duration = Duration::from_millis(100);
/// The longest a verification may take; the connection, TLS and a debug build on a busy machine are
/// given twice as much again.
const VERIFY_DEADLINE: Duration = Duration::from_millis(250 + 500);
/// How long Redis is held.
const HELD: Duration = Duration::from_secs(2);
const USERS: usize = 24;

/// What each of many users was told while Redis was slow.
struct Told {
    took: Vec<Duration>,
    unavailable: usize,
    /// How many waited for Redis in vain.
    waited: usize,
}

/// Verifies as many users at once, over and over, until `held` has passed, and checks that each is
/// who it is.
async fn verify_all(app: &TestApp, names: &[(String, Tokens)], held: Duration) -> Told {
    let started = Instant::now();
    let one = async |(name, pair): &(String, Tokens)| {
        let mut told = Vec::new();
        while started.elapsed() < held {
            let asked = Instant::now();
            let answer = app.verify(&pair.access).await;
            let took = asked.elapsed();
            assert!(took < VERIFY_DEADLINE, "took {took:?}");
            assert_ne!(answer.status, 401, "a live token was refused");
            if answer.status == 204 {
                assert_eq!(answer.header("x-username"), name, "a mix-up");
            }
            told.push((took, answer.status == 204));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        told
    };
    let told: Vec<_> = join_all(names.iter().map(one)).await.concat();
    Told {
        unavailable: told.iter().filter(|(_, is_live)| !is_live).count(),
        waited: told
            .iter()
            .filter(|(took, _)| *took >= REDIS_BUDGET)
            .count(),
        took: told.into_iter().map(|(took, _)| took).collect(),
    }
}

async fn named_users(app: &TestApp) -> Vec<(String, Tokens)> {
    let pairs = users(app, "user", USERS).await;
    let named = pairs.into_iter().enumerate();
    named
        .map(|(index, pair)| (format!("user{index}"), pair))
        .collect()
}

#[track_caller]
fn check(what: &str, told: &Told) {
    let count = told.took.len();
    let (median, p99, most) = spread(&mut told.took.clone());
    tell(
        what,
        ((median, p99, most), count, told.waited, told.unavailable),
    );
    // Redis away: 99.9 of 100 answers are right, and a busy machine may miss some deadlines.
    assert!(
        told.unavailable * 100 <= count,
        "{} of {count}",
        told.unavailable
    );
    // Each user may have been waiting when the silence began, and no one after that; a busy machine
    // may hold some as long.
    assert!(
        told.waited <= USERS + count / 4,
        "{} of {count}",
        told.waited
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis_is_waited_for_once_and_mixes_nobody_up() {
    let _alone = serial().await;
    let mut bench = bench(&[]).await;
    let names = named_users(&bench.app).await;
    bench.redis.signal("STOP");
    let told = verify_all(&bench.app, &names, HELD).await;
    check("verifications while Redis is stopped", &told);
    bench.redis.signal("CONT");
    let took = becomes(&bench.app, "ready", TRUSTED_WITHIN).await;
    tell("a stopped Redis goes on until it is trusted", took);
    let told = verify_all(&bench.app, &names, Duration::from_millis(300)).await;
    check("verifications once it goes on", &told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_waited_for_once_and_mixes_nobody_up() {
    let _alone = serial().await;
    let bench = bench(&[]).await;
    let names = named_users(&bench.app).await;
    let mut link = raw(bench.redis.address()).await;
    let pause = format!("CLIENT PAUSE {} ALL", HELD.as_millis());
    say(&mut link, &pause).await;
    let told = verify_all(&bench.app, &names, HELD).await;
    check("verifications while Redis pauses", &told);
    becomes(&bench.app, "ready", TRUSTED_WITHIN).await;
    let told = verify_all(&bench.app, &names, Duration::from_millis(300)).await;
    check("verifications after the pause", &told);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_fault_no_request_waits_for_redis() {
    let _alone = serial().await;
    let mut bench = bench(&[]).await;
    let names = named_users(&bench.app).await;
    bench.redis.signal("STOP");
    // Each shard meets the fault once.
    join_all(names.iter().map(|(_, pair)| bench.app.verify(&pair.access))).await;
    becomes(&bench.app, "degraded", PATIENCE).await;
    let told = verify_all(&bench.app, &names, Duration::from_millis(500)).await;
    let (count, took) = (told.took.len(), spread(&mut told.took.clone()));
    tell(
        "verifications after the first fault",
        (took, count, told.waited),
    );
    // A busy machine may hold some of them as long; if they waited, it would be all.
    assert!(told.waited <= count / 4, "{} of {count}", told.waited);
    bench.redis.signal("CONT");
}

//! `kill -9` of the server, of Redis and of mongod under load: a history is checked afterwards.
//!
//! `SENTINEL_TEST_KILLS` is how often each of them is killed, `SENTINEL_TEST_SEED` repeats the
//! choices of an earlier run.

mod bench;
mod contents;
mod conversions;
mod deletions;
mod load;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::bench::{Bench, Recovery, Victim};
use self::load::Worker;
use crate::alone::serial;
use crate::figures::{spread, tell};
use crate::history::check::violations;
use crate::random::Random;
use crate::support::length::number;

/// Kills of each in a short run.
const KILLS: u64 = 10;
/// How long all may take to be as before, once what was killed is started again.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// One kill of many may meet a busy machine; the half of them may not.
const SLACK: u32 = 5;
/// Sessions that one worker has for itself.
const OWN: usize = 6;
/// Sessions that two workers share.
const SHARED: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_servers_redis_and_mongod_lose_nothing_and_let_nobody_in() {
    let _alone = serial().await;
    let bench = Bench::start(OWN + SHARED).await;
    run(bench, &[Victim::Server, Victim::Redis, Victim::Mongod]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_a_server_with_the_embedded_store_lose_nothing_and_let_nobody_in() {
    let _alone = serial().await;
    let bench = Bench::embedded(OWN + SHARED).await;
    run(bench, &[Victim::Server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_servers_that_keep_tokens_hashed_lose_nothing_and_let_nobody_in() {
    let _alone = serial().await;
    let bench = Bench::hashed(OWN + SHARED).await;
    run(bench, &[Victim::Server]).await;
}

/// Kills each as often as wanted, in any order, under load; then checks the history.
async fn run(mut bench: Bench, victims: &[Victim]) {
    let seed = number(
        "SENTINEL_TEST_SEED",
        RandomState::new().build_hasher().finish(),
    );
    let kills = number("SENTINEL_TEST_KILLS", KILLS);
    tell(format!("SENTINEL_TEST_SEED={seed}"));
    let mut random = Random::of(seed);
    let (done, is_done) = watch::channel(false);
    let mut workers = JoinSet::new();
    for session in (0..OWN + SHARED).chain(OWN..OWN + SHARED) {
        let worker = Worker::new(session, Arc::clone(&bench.recorder), random.fork());
        workers.spawn(worker.run(is_done.clone()));
    }
    let mut left = vec![kills; victims.len()];
    let mut recoveries = Vec::new();
    while left.iter().any(|left| *left > 0) {
        let index = random.index(victims.len());
        if left[index] > 0 {
            left[index] -= 1;
            tokio::time::sleep(Duration::from_millis(random.below(400))).await;
            recoveries.push(bench.kill(victims[index], &mut random).await);
        }
    }
    done.send_replace(true);
    workers.join_all().await;
    tell(bench.recorder.figures());
    let found = violations(&bench.recorder.entries());
    assert!(
        found.is_empty(),
        "seed {seed}: {found:#?}\n{}",
        bench.logs()
    );
    if let Some(stores) = &bench.stores {
        contents::settled(stores).await;
        contents::check(stores).await;
    }
    for victim in victims {
        check_recovery(*victim, &recoveries);
    }
}

/// How long it takes until all is as before.
fn check_recovery(victim: Victim, recoveries: &[Recovery]) {
    let own = recoveries
        .iter()
        .filter(|recovery| recovery.victim == victim);
    let mut took: Vec<Duration> = own.map(|recovery| recovery.took).collect();
    let stale = recoveries.iter().map(|recovery| recovery.stale).max();
    let (median, _, longest) = spread(&mut took);
    tell(format!(
        "{victim:?}: {} kills, back after {median:?}, at most {longest:?}; after any kill Redis has \
         forgotten ended tokens after at most {stale:?}",
        took.len()
    ));
    assert!(median < BACK_WITHIN, "{victim:?}: {took:?}");
    assert!(longest < BACK_WITHIN * SLACK, "{victim:?}: {took:?}");
}

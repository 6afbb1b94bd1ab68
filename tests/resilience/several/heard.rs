//! What one server ended, all refuse soon, and a program that reads Redis at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use super::Several;
use crate::alone::serial;
use crate::figures::{spread, tell};
use crate::history::entry::Pair;
use crate::history::recorder::username;
use crate::support::length::Rounds;

/// How long the rounds last when nobody says how many.
const SHORT: Duration = Duration::from_secs(10);
/// How long another server may go on accepting an ended token: the promise, kept by 99 of 100.
const HEARD_WITHIN: Duration = Duration::from_millis(250);
/// The hard limit of promise P3, kept by all.
const HARD_LIMIT: Duration = Duration::from_secs(1);
const SERVERS: usize = 3;
/// How often an end is asked for: a busy machine may keep Redis from answering in time.
const ATTEMPTS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_ended_all_refuse_within_250_ms_and_redis_has_lost_at_once() {
    let _alone = serial().await;
    let several = Several::start(SERVERS, 1).await;
    let mut late = Vec::new();
    for round in Rounds::lasting(SHORT, "SENTINEL_TEST_ROUNDS") {
        let ender = usize::try_from(round).unwrap() % SERVERS;
        let pair = several.login((ender + 1) % SERVERS, 0).await;
        for server in 0..SERVERS {
            assert_eq!(several.verify(server, &pair.access).await, 204);
        }
        let is_over = AtomicBool::new(false);
        // Look-ups that are in the air must not bring it back.
        let hammers =
            join_all((0..SERVERS).map(|server| hammer(&several, server, &pair, &is_over)));
        let (_, heard) = join(hammers, end(&several, ender, &pair, (round, &is_over))).await;
        late.extend(heard);
        for server in 0..SERVERS {
            assert_eq!(several.verify(server, &pair.access).await, 401);
        }
        assert_eq!(several.keys(&pair.access).await, 0, "it came back");
    }
    let (median, most, longest) = spread(&mut late);
    tell(format!(
        "{} times heard after {median:?}, 99 of 100 after {most:?}, at most {longest:?}",
        late.len()
    ));
    assert!(most < HEARD_WITHIN, "{late:?}");
    assert!(longest < HARD_LIMIT, "{late:?}");
}

/// Ends a pair in one of four ways, and tells how long each other server went on accepting it.
async fn end(
    several: &Several,
    ender: usize,
    pair: &Pair,
    (round, is_over): (u64, &AtomicBool),
) -> Vec<Duration> {
    let (api, client_id) = (&several.servers[ender].api, &several.client_id);
    let mut attempts = 0..ATTEMPTS;
    let answered = loop {
        attempts.next().expect("never answered as done");
        let answer = match round % 4 {
            0 => api.revoke(&pair.access).await,
            1 => api.revoke(&pair.refresh).await,
            2 => api.refresh(client_id, &pair.refresh).await,
            _ => api.login(client_id, &username(0)).await,
        };
        let answered = Instant::now();
        let status = answer.unwrap().status;
        if status.is_success() {
            break answered;
        }
        assert_eq!(status, 503);
    };
    assert_eq!(several.keys(&pair.access).await, 0, "way {}", round % 4);
    // On this server at once.
    assert_eq!(several.verify(ender, &pair.access).await, 401);
    let others = (0..SERVERS).filter(|server| *server != ender);
    let heard = others.map(|server| async move {
        while several.verify(server, &pair.access).await != 401 {
            assert!(answered.elapsed() < 4 * HARD_LIMIT, "never heard of it");
        }
        answered.elapsed()
    });
    let heard = join_all(heard).await;
    is_over.store(true, Ordering::SeqCst);
    heard
}

async fn hammer(several: &Several, server: usize, pair: &Pair, is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        let status = several.verify(server, &pair.access).await;
        assert!([204, 401].contains(&status), "{status}");
    }
}

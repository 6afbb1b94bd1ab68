//! What a crash of one server cut off is repeated at another, and holds there at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::Several;
use crate::alone::serial;
use crate::figures::tell;
use crate::history::check::violations;
use crate::history::entry::{Asked, Pair, Told};
use crate::history::recorder::Recorder;
use crate::random::Random;
use crate::support::length::Rounds;
use crate::support::process::PATIENCE;

/// How long the rounds last when nobody says how many.
const SHORT: Duration = Duration::from_secs(6);
/// How many pairs are being ended when the server is killed.
const SESSIONS: usize = 12;
/// Until then a server in a debug build has answered all of them.
const KILLED_WITHIN_MS: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_cut_off_holds_at_once_when_another_server_acknowledges_its_repeat() {
    let _alone = serial().await;
    let mut several = Several::start(2, SESSIONS).await;
    let apis = several.servers.iter().map(|server| server.api.clone());
    let recorder = Recorder::new(apis.collect(), several.client_id.clone());
    let mut random = Random::of(1);
    let (mut cut_off, mut left) = (0, Vec::new());
    for _ in Rounds::lasting(SHORT, "SENTINEL_TEST_ROUNDS") {
        let pairs = join_all((0..SESSIONS).map(|session| login(&recorder, session))).await;
        let ends = pairs.iter().enumerate();
        let ending = join_all(ends.map(|(session, pair)| end(&recorder, 0, session, pair)));
        let killing = async {
            sleep(Duration::from_millis(random.below(KILLED_WITHIN_MS))).await;
            several.servers[0].kill();
        };
        let (told, ()) = tokio::join!(ending, killing);
        let unknown: Vec<usize> = (0..SESSIONS)
            .filter(|session| told[*session] == Told::Unknown)
            .collect();
        cut_off += unknown.len();
        let ends = unknown.iter().map(|session| {
            let pair = &pairs[*session];
            ended_elsewhere(&several, &recorder, *session, pair)
        });
        left.extend(join_all(ends).await.into_iter().flatten());
        several.servers[0].restart();
        several.servers[0].becomes("ready", PATIENCE).await;
    }
    tell(format!("{cut_off} requests were cut off"));
    assert!(cut_off > 0, "no crash met a request");
    assert!(left.is_empty(), "{} of {cut_off}: {left:#?}", left.len());
    let found = violations(&recorder.entries());
    assert!(found.is_empty(), "{found:#?}");
}

async fn login(recorder: &Recorder, session: usize) -> Pair {
    match recorder.ask(0, session, Asked::Login).await {
        Told::Pair(pair) => pair,
        other => panic!("{other:?}"),
    }
}

/// Ends a pair in one of four ways.
async fn end(recorder: &Recorder, server: usize, session: usize, pair: &Pair) -> Told {
    let asked = match session % 4 {
        0 => Asked::Refresh(pair.refresh.clone()),
        1 => Asked::Login,
        2 => Asked::Revoke(pair.access.clone()),
        _ => Asked::Revoke(pair.refresh.clone()),
    };
    recorder.ask(server, session, asked).await
}

/// Repeats it at the other server. Tells where the access token is still good afterwards.
async fn ended_elsewhere(
    several: &Several,
    recorder: &Recorder,
    session: usize,
    pair: &Pair,
) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    while end(recorder, 1, session, pair).await == Told::Unknown {
        assert!(Instant::now() < deadline, "never answered");
    }
    let keys = several.keys(&pair.access).await;
    let status = several.verify(1, &pair.access).await;
    (keys > 0 || status != 401)
        .then(|| format!("way {}: {keys} keys, verified with {status}", session % 4))
}

//! A refresh token is spent once, however many present it at once, and wherever.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Several;
use crate::alone::serial;
use crate::figures::tell;
use crate::history::entry::{Pair, pair};
use crate::support::app::Answer;
use crate::support::length::Rounds;

/// How long the rounds last when nobody says how many.
const SHORT: Duration = Duration::from_secs(10);
/// Refreshes of one token at once.
const PARALLEL: usize = 100;
const SERVERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_of_one_token_at_once_over_two_servers_have_one_successor() {
    let _alone = serial().await;
    let several = Several::start(SERVERS, 1).await;
    let mut pair = several.login(0, 0).await;
    let mut rounds = 0;
    for round in Rounds::lasting(SHORT, "SENTINEL_TEST_ROUNDS") {
        let successors = at_once(&several, &pair).await;
        assert_eq!(successors.len(), 1, "round {round}: {successors:?}");
        let next = successors.into_iter().next().unwrap();
        for server in 0..SERVERS {
            assert_eq!(several.verify(server, &next.access).await, 204);
            assert_eq!(several.verify(server, &pair.access).await, 401);
        }
        // The chain goes on: a family is not forked and not ended.
        pair = next;
        rounds = round + 1;
    }
    tell(format!("{rounds} rounds of {PARALLEL} refreshes"));
}

/// Refreshes from all sides, from a barrier on. Nobody is refused: all are within the time in
/// which the answer may be asked for again.
async fn at_once(several: &Several, pair: &Pair) -> HashSet<Pair> {
    let barrier = Arc::new(Barrier::new(PARALLEL));
    let mut asking = JoinSet::new();
    for index in 0..PARALLEL {
        let api = several.servers[index % SERVERS].api.clone();
        let (barrier, token) = (Arc::clone(&barrier), pair.refresh.clone());
        let client_id = several.client_id.clone();
        asking.spawn(async move {
            barrier.wait().await;
            api.refresh(&client_id, &token).await.unwrap()
        });
    }
    let answers = asking.join_all().await;
    answers.iter().map(successor).collect()
}

#[track_caller]
fn successor(answer: &Answer) -> Pair {
    assert_eq!(answer.status, 200, "{}", answer.body);
    pair(answer)
}

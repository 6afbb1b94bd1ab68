use std::time::Instant;

use futures_util::future::join_all;

use super::*;
use crate::actors::supervisor::Tree;
use crate::actors::supervisor::faults::Moment;
use crate::actors::supervisor::picture::Picture;
use crate::domain::client::ClientId;
use crate::domain::user::HashOrigin;

/// A hash takes a few milliseconds in a debug build.
const COST: u32 = 6;
const POLICY: PasswordPolicy = PasswordPolicy {
    cost: COST,
    queue: 64,
    workers: 2,
    lanes: 6,
};

struct Bench {
    pool: PasswordPool,
    tree: Tree,
    hash: PasswordHash,
}

async fn bench(policy: PasswordPolicy) -> Bench {
    let (pool, child) = PasswordPool::new(policy).unwrap();
    let tree = Tree::start(vec![child], Picture::default()).await.unwrap();
    let hash = hash_of(policy.cost);
    Bench { pool, tree, hash }
}

fn hash_of(cost: u32) -> PasswordHash {
    PasswordHash::new(bcrypt::hash("right", cost).unwrap(), HashOrigin::Sentinel)
}

fn client(name: &str) -> Requester {
    Requester::client(ClientId::new(name.to_owned()), None)
}

impl Bench {
    async fn verify(&self, text: &str, requester: &Requester) -> Result<bool, PasswordPoolError> {
        let hash = Some(self.hash.clone());
        self.pool
            .verify(Password::new(text.to_owned()), hash, requester)
            .await
    }
}

fn is_shed(answer: &Result<bool, PasswordPoolError>) -> bool {
    matches!(answer, Err(PasswordPoolError::Overloaded))
}

#[tokio::test]
async fn passwords_are_compared_and_hashed_with_lanes_of_every_count_and_with_the_library() {
    for lanes in 0..=6 {
        let bench = bench(PasswordPolicy { lanes, ..POLICY }).await;
        let own = client("own");
        let answers = join_all((0..20).map(|at| {
            let text = if at % 3 == 0 { "right" } else { "wrong" };
            bench.verify(text, &own)
        }));
        for (at, answer) in answers.await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), at % 3 == 0, "{lanes} lanes");
        }
        let password = Password::new("new password".to_owned());
        let made = bench.pool.hash(password, &own).await.unwrap();
        assert!(bcrypt::verify("new password", made.as_str()).unwrap());
    }
}

#[tokio::test]
async fn what_comes_at_once_is_refused_only_when_neither_lane_nor_place_is_free() {
    let policy = PasswordPolicy { queue: 1, ..POLICY };
    let bench = bench(policy).await;
    let own = client("own");
    for _ in 0..10 {
        let answers = join_all((0..13).map(|_| bench.verify("right", &own))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(true))));
    }
    let answers = join_all((0..1_000).map(|_| bench.verify("right", &own))).await;
    let shed = answers.iter().filter(|answer| is_shed(answer)).count();
    assert!((1..=1_000 - 13).contains(&shed), "{shed}");
}

#[tokio::test]
async fn a_flood_by_one_client_neither_sheds_nor_delays_the_logins_of_another() {
    let bench = bench(PasswordPolicy {
        queue: 24,
        ..POLICY
    })
    .await;
    let (flooder, other) = (client("flooder"), client("other"));
    let flood = join_all((0..600).map(|_| async {
        let answer = bench.verify("wrong", &flooder).await;
        (answer, Instant::now())
    }));
    let logins = async {
        let mut ends = Vec::new();
        for _ in 0..6 {
            assert!(bench.verify("right", &other).await.unwrap());
            ends.push(Instant::now());
        }
        ends
    };
    let (flood, ends) = tokio::join!(flood, logins);
    let (shed, done): (Vec<_>, Vec<_>) = flood.into_iter().partition(|(a, _)| is_shed(a));
    assert!(!shed.is_empty() && done.len() >= 24, "{} done", done.len());
    let last = done.iter().map(|(_, end)| *end).max().unwrap();
    // Its second login came when the flood had waited for long, and was served before it.
    assert!(ends[1] < last);
}

#[tokio::test]
async fn a_panic_of_the_actor_costs_nothing_that_was_queued_or_is_hashed() {
    let bench = bench(PasswordPolicy {
        queue: 99,
        ..POLICY
    })
    .await;
    let own = client("own");
    let queued = join_all((0..60).map(|_| bench.verify("right", &own)));
    let panicking = async {
        while bench.tree.picture().actors()[0].in_flight < 60 {
            tokio::task::yield_now().await;
        }
        // From the mailbox into the queue.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let asked = bench.pool.handle.asked();
        let planned = bench
            .tree
            .plan_panic("password_pool", Moment::Before("verify"), 1);
        let lost = bench.verify("right", &own).await;
        (lost, planned.unwrap().happened(), asked)
    };
    let (answers, (lost, panics, asked)) = tokio::join!(queued, panicking);
    assert_eq!(panics, 1);
    assert!(matches!(lost, Err(PasswordPoolError::Gone(_))), "{lost:?}");
    let done = answers.iter().filter(|answer| matches!(answer, Ok(true)));
    assert_eq!(done.count(), 60);
    let deadline = within(DEADLINE);
    bench.pool.handle.wait_for_successor(asked, deadline).await;
    assert!(bench.verify("right", &own).await.unwrap());
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_leaves_its_lane() {
    let mut bench = bench(POLICY).await;
    // A second of work each, and more than the lanes take.
    bench.hash = hash_of(13);
    let own = client("own");
    let given_up = join_all((0..20).map(|_| bench.verify("right", &own)));
    let late = tokio::time::timeout(Duration::from_millis(50), given_up).await;
    assert!(late.is_err());
    bench.hash = hash_of(COST);
    let began = Instant::now();
    assert!(bench.verify("right", &own).await.unwrap());
    assert!(began.elapsed() < Duration::from_millis(500), "{began:?}");
}

#[tokio::test]
async fn only_who_waits_long_in_the_queue_has_time_before_it() {
    let policy = PasswordPolicy {
        cost: 10,
        workers: 1,
        ..POLICY
    };
    let bench = bench(policy).await;
    let (own, other) = (client("own"), client("other"));
    assert_eq!(bench.pool.haste(&own), Haste::AtOnce);
    // Until one is done, nobody knows how long it takes.
    assert!(bench.verify("right", &own).await.unwrap());
    let flood = join_all((0..50).map(|_| bench.verify("wrong", &own)));
    let look = async {
        while bench.pool.haste(&own) == Haste::AtOnce {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(bench.pool.haste(&other), Haste::AtOnce);
    };
    tokio::select! {
        biased;
        () = look => {}
        _ = flood => panic!("the queue was never long"),
    }
}

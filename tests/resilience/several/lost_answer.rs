//! A lost answer is repeated, a spent refresh token is not: also after a crash of the server, and
//! with an empty Redis.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::Several;
use crate::alone::serial;
use crate::history::entry::{Asked, Pair, Told, pair, told};
use crate::random::Random;
use crate::support::length::Rounds;

/// How long a client may repeat a refresh.
const GRACE: Duration = Duration::from_secs(10);
/// Before that a crash and a start are over.
const BEFORE: Duration = Duration::from_secs(8);
/// By then it is over for certain.
const AFTER: Duration = Duration::from_secs(11);
/// How long the rounds last when nobody says how many.
const SHORT: Duration = Duration::from_secs(5);
/// Sessions whose tokens are spent.
const SPENDERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_repeated_for_ten_seconds_and_reuse_ends_its_family_alone_whatever_crashes() {
    let _alone = serial().await;
    let mut several = Several::start(1, SPENDERS + 1).await;
    let others = Bystanders::of(&several).await;
    let mut spent = Vec::new();
    for user in 0..SPENDERS {
        spent.push(several.login(0, user).await);
    }
    let rotated = Instant::now();
    let successors = join_all(spent.iter().map(|pair| refresh(&several, pair))).await;
    several.is_noted().await;
    several.crash().await;
    // Within ten seconds each gets what it got.
    while rotated.elapsed() < BEFORE {
        let again = join_all(spent.iter().map(|pair| refresh(&several, pair))).await;
        assert_eq!(again, successors);
        sleep(Duration::from_millis(500)).await;
    }
    several.crash().await;
    assert!(rotated.elapsed() < GRACE, "too slow to tell");
    while rotated.elapsed() < AFTER {
        others.check_alive(&several).await;
        sleep(Duration::from_millis(100)).await;
    }
    // Later it is reuse.
    for (pair, successor) in spent.iter().zip(&successors) {
        assert_eq!(several.verify(0, &successor.access).await, 204);
        check_refused(&several, &pair.refresh).await;
        check_ended(&several, successor).await;
    }
    others.check_alive(&several).await;
    several.crash().await;
    for (pair, successor) in spent.iter().zip(&successors) {
        check_refused(&several, &pair.refresh).await;
        check_ended(&several, successor).await;
    }
    others.check_alive(&several).await;
    others.check_refreshed(&several).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_a_crash_cut_off_is_repeated_and_has_one_successor() {
    let _alone = serial().await;
    let mut several = Several::start(1, SPENDERS).await;
    let mut random = Random::of(1);
    let mut cut_off = 0;
    for _ in Rounds::lasting(SHORT, "SENTINEL_TEST_ROUNDS") {
        let logins = (0..SPENDERS).map(|user| several.login(0, user));
        let pairs = join_all(logins).await;
        let api = several.servers[0].api.clone();
        let client_id = several.client_id.clone();
        let asked = join_all(
            pairs
                .iter()
                .map(|pair| api.refresh(&client_id, &pair.refresh)),
        );
        let killed = async {
            sleep(Duration::from_millis(random.below(20))).await;
            several.crash().await;
        };
        let (answers, ()) = tokio::join!(asked, killed);
        for (pair, answer) in pairs.iter().zip(answers) {
            let asked = Asked::Refresh(pair.refresh.clone());
            let before = told(&asked, answer);
            let after = refresh(&several, pair).await;
            match before {
                Some(Told::Pair(before)) => assert_eq!(before, after),
                Some(Told::Unknown) | None => cut_off += 1,
                other => panic!("{other:?}"),
            }
            assert_eq!(refresh(&several, pair).await, after);
            assert_eq!(several.verify(0, &after.access).await, 204);
            assert_eq!(several.verify(0, &pair.access).await, 401);
        }
    }
    assert!(cut_off > 0, "no crash met a refresh");
}

/// Sessions next to the ones whose tokens are spent.
struct Bystanders {
    /// The first spender with another client.
    same_user: (String, Pair),
    /// Another user, who had logged in before and spent a token of that login.
    logged_in_again: Pair,
    /// The spent token of the earlier login.
    spent_before: String,
}

impl Bystanders {
    async fn of(several: &Several) -> Self {
        let client_id = several.servers[0].api.add_client().await;
        let same_user = several.login_for(&client_id, 0, 0).await;
        let earlier = several.login(0, SPENDERS).await;
        refresh(several, &earlier).await;
        Self {
            same_user: (client_id, same_user),
            logged_in_again: several.login(0, SPENDERS).await,
            spent_before: earlier.refresh,
        }
    }

    /// They live, and reuse of the earlier login's token does not change that.
    async fn check_alive(&self, several: &Several) {
        check_refused(several, &self.spent_before).await;
        for pair in [&self.same_user.1, &self.logged_in_again] {
            assert_eq!(several.verify(0, &pair.access).await, 204);
        }
    }

    async fn check_refreshed(&self, several: &Several) {
        refresh(several, &self.logged_in_again).await;
        let (client_id, pair) = &self.same_user;
        let answer = several.refresh(client_id, &pair.refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

async fn refresh(several: &Several, spent: &Pair) -> Pair {
    let answer = several.refresh(&several.client_id, &spent.refresh).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    pair(&answer)
}

async fn check_refused(several: &Several, refresh_token: &str) {
    let answer = several.refresh(&several.client_id, refresh_token).await;
    assert_eq!(answer.error(), "invalid_grant");
}

async fn check_ended(several: &Several, pair: &Pair) {
    assert_eq!(several.verify(0, &pair.access).await, 401);
    assert_eq!(several.keys(&pair.access).await, 0);
    check_refused(several, &pair.refresh).await;
}

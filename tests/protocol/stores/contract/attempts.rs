//! Counts of attempts.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use warp_sentinel::domain::attempt::{
    AttemptKey, AttemptLimit, AttemptOutcome, AttemptRequest, Reservation, Reserved,
};
use warp_sentinel::stores::Truth;

use crate::support::process::{PATIENCE, PAUSE};

const LONG: Duration = Duration::from_mins(15);

async fn reserve(truth: &Truth, key: u8, wanted: u32, window: Duration) -> Reserved {
    let limit = AttemptLimit {
        failures: 10,
        window,
    };
    let request = AttemptRequest {
        key: AttemptKey([key; 32]),
        wanted,
        limit,
    };
    let reserved = truth.attempts.reserve_attempts(&[request]).await;
    reserved.unwrap()[0]
}

async fn settle(truth: &Truth, key: u8, of: Reserved, outcome: AttemptOutcome, ended: u32) {
    let reservation = Reservation {
        key: AttemptKey([key; 32]),
        ends_at: of.ends_at,
    };
    let ended = [(reservation, outcome, ended)];
    truth.attempts.settle_attempts(&ended).await.unwrap();
}

pub(super) async fn as_many_attempts_are_counted_as_may_fail(truth: &Truth) {
    let all = join_all((0..40).map(|_| reserve(truth, 1, 1, LONG))).await;
    let granted: u32 = all.iter().map(|reserved| reserved.granted).sum();
    assert_eq!(granted, 10);
    assert!(
        all.iter()
            .all(|reserved| reserved.ends_at == all[0].ends_at && !reserved.is_exhausted)
    );
    let many = reserve(truth, 2, 7, LONG).await;
    assert_eq!(many.granted, 7);
    assert_eq!(reserve(truth, 2, 7, LONG).await.granted, 3);
    assert_eq!(reserve(truth, 3, 70, LONG).await.granted, 10);
}

pub(super) async fn attempts_that_failed_stay_and_others_are_given_back(truth: &Truth) {
    let first = reserve(truth, 1, 10, LONG).await;
    settle(truth, 1, first, AttemptOutcome::Failed, 7).await;
    settle(truth, 1, first, AttemptOutcome::GivenBack, 2).await;
    let again = reserve(truth, 1, 5, LONG).await;
    assert_eq!((again.granted, again.is_exhausted), (2, false));
    settle(truth, 1, first, AttemptOutcome::Failed, 3).await;
    let none = reserve(truth, 1, 5, LONG).await;
    assert_eq!((none.granted, none.is_exhausted), (0, true));

    let other = reserve(truth, 2, 10, LONG).await;
    settle(truth, 2, other, AttemptOutcome::Failed, 8).await;
    settle(truth, 2, other, AttemptOutcome::Redeemed, 1).await;
    // One is still under way.
    let redeemed = reserve(truth, 2, 10, LONG).await;
    assert_eq!((redeemed.granted, redeemed.is_exhausted), (9, false));
}

pub(super) async fn attempts_of_one_window_mean_nothing_to_the_next(truth: &Truth) {
    let short = Duration::from_millis(200);
    let first = reserve(truth, 1, 10, short).await;
    let deadline = Instant::now() + PATIENCE;
    let next = loop {
        let next = reserve(truth, 1, 4, short).await;
        if next.granted > 0 {
            break next;
        }
        assert!(Instant::now() < deadline, "the window never ends");
        tokio::time::sleep(PAUSE).await;
    };
    assert!(next.ends_at > first.ends_at);
    let ends = [AttemptOutcome::Failed, AttemptOutcome::GivenBack];
    for outcome in ends {
        settle(truth, 1, first, outcome, 10).await;
    }
    // A longer window of another setting ends later than any that this server would begin.
    let longer = reserve(truth, 2, 10, LONG).await;
    assert_eq!(longer.granted, 10);
    assert_eq!(reserve(truth, 2, 1, short).await.granted, 1);
}

pub(super) async fn attempts_of_one_key_are_none_of_another(truth: &Truth) {
    let limit = AttemptLimit {
        failures: 3,
        window: LONG,
    };
    let request = |key: u8, wanted: u32| AttemptRequest {
        key: AttemptKey([key; 32]),
        wanted,
        limit,
    };
    let requests = [request(1, 2), request(2, 5), request(3, 1)];
    let reserved = truth.attempts.reserve_attempts(&requests).await.unwrap();
    let granted: Vec<u32> = reserved.iter().map(|own| own.granted).collect();
    assert_eq!(granted, [2, 3, 1]);
    assert!(
        truth
            .attempts
            .reserve_attempts(&[])
            .await
            .unwrap()
            .is_empty()
    );
    truth.attempts.settle_attempts(&[]).await.unwrap();
}

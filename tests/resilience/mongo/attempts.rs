//! How attempts ended is noted once, though MongoDB refuses some of it or does not answer.

use warp_sentinel::domain::attempt::{
    AttemptKey, AttemptLimit, AttemptOutcome, AttemptRequest, Reservation,
};
use warp_sentinel::stores::error::SettleError;

use super::fail_point::{Fault, Faulty, Which};
use super::*;

/// The code of `WriteConflict`, of which the driver does not think that the server is away.
const REFUSED: i32 = 112;
const LIMIT: AttemptLimit = AttemptLimit {
    failures: 10,
    window: Duration::from_mins(15),
};

#[tokio::test(flavor = "multi_thread")]
async fn only_an_end_that_was_refused_may_be_noted_again() {
    let bench = Faulty::start().await;
    let (refused, left) = give_back(&bench, Fault::Code(REFUSED), &[1, 2, 3, 4, 5, 6]).await;
    // The first, or a few that are there at the same moment.
    assert!((1..left.len()).contains(&refused.undone.len()));
    for (place, left) in left.into_iter().enumerate() {
        let is_noted = !refused.undone.contains(&place);
        assert_eq!(left, if is_noted { 10 } else { 9 });
    }
    let (broken_off, _) = give_back(&bench, Fault::Closed, &[7]).await;
    assert!(broken_off.undone.is_empty(), "{broken_off:?}");
}

/// Counts an attempt under each key and gives it back, while the fault happens to the first of them.
/// Tells how many there may be then.
async fn give_back(bench: &Faulty, fault: Fault, keys: &[u8]) -> (SettleError, Vec<u32>) {
    let attempts = &bench.app.truth.attempts;
    let requests = |wanted| {
        let request = |key: &u8| AttemptRequest {
            key: AttemptKey([*key; 32]),
            wanted,
            limit: LIMIT,
        };
        keys.iter().map(request).collect::<Vec<_>>()
    };
    let reserved = attempts.reserve_attempts(&requests(1)).await.unwrap();
    let ended = requests(1).into_iter().zip(reserved).map(|(request, own)| {
        let (key, ends_at) = (request.key, own.ends_at);
        (
            Reservation { key, ends_at },
            AttemptOutcome::GivenBack,
            own.granted,
        )
    });
    let ended: Vec<_> = ended.collect();
    bench
        .set(fault, &["update"], Which::FirstTo("attempts"))
        .await;
    let error = attempts.settle_attempts(&ended).await.unwrap_err();
    bench.clear().await;
    let reserved = attempts.reserve_attempts(&requests(10)).await.unwrap();
    (error, reserved.iter().map(|own| own.granted).collect())
}

//! Writes that were done and not confirmed: their outcome is unknown to whoever asked, so a repeat
//! has to find out.

use time::Duration;

use super::fail_point::{Fault, Faulty, WRITES, Which};
use super::request::{Prepared, Request, check_no_orphans};

/// `WriteConcernFailed` and `UnsatisfiableWriteConcern`.
const CODES: [i32; 2] = [64, 100];

#[tokio::test(flavor = "multi_thread")]
async fn what_no_majority_confirmed_is_told_as_not_done_and_its_repeat_goes_well() {
    let bench = Faulty::start().await;
    for code in CODES {
        for request in Request::EVERY {
            let prepared = unconfirmed(&bench, request, code).await;
            let (answer, _) = request.repeat(&bench.app, &prepared).await;
            request.check_done(&bench.app, &prepared, &answer).await;
            check_no_orphans(&bench.app).await;
        }
    }
    // A user has one session with each client, and each first login had a client of its own.
    let sessions = u64::try_from(CODES.len()).unwrap();
    assert!(bench.count("tokens").await <= sessions + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_was_done_and_not_confirmed_gives_its_pair_half_an_hour_later() {
    let bench = Faulty::start().await;
    let prepared = unconfirmed(&bench, Request::Refresh, CODES[0]).await;
    bench.app.clock.advance(Duration::minutes(30));
    let (answer, _) = Request::Refresh.repeat(&bench.app, &prepared).await;
    Request::Refresh
        .check_done(&bench.app, &prepared, &answer)
        .await;
}

/// Sends a request whose last write is done and not confirmed.
async fn unconfirmed(bench: &Faulty, request: Request, code: i32) -> Prepared {
    let app = &bench.app;
    let prepared = request.prepare(app).await;
    // A first login writes once; the others remember an end before.
    let last = i32::from(!matches!(request, Request::FirstLogin));
    let fault = Fault::Unconfirmed(code);
    bench.set(fault, WRITES, Which::AllAfter(last)).await;
    let (answer, took) = request.send_timed(app, &prepared).await;
    bench.clear().await;
    request.check_not_now(&answer, took);
    check_no_orphans(app).await;
    prepared
}

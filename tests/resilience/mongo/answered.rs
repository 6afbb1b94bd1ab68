//! A spent refresh token counts as answered once its client has the answer, and then for good.

use time::Duration as Span;

use super::fail_point::{Fault, Faulty, Which};
use super::request::Request;
use super::*;

/// With this delay two writes of a refresh are done within its deadline, and a third is not.
const LATE: Duration = Duration::from_millis(1_900);

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_ran_out_of_time_gives_its_pair_half_an_hour_later() {
    let bench = Faulty::start().await;
    let prepared = Request::Refresh.prepare(&bench.app).await;
    bench
        .set(Fault::Late(LATE), &["update"], Which::AllAfter(0))
        .await;
    let (mut answer, took) = Request::Refresh.send_timed(&bench.app, &prepared).await;
    bench.clear().await;
    bench.app.clock.advance(Span::minutes(30));
    if !answer.status.is_success() {
        Request::Refresh.check_not_now(&answer, took);
        (answer, _) = Request::Refresh.repeat(&bench.app, &prepared).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    // The pair is good, whichever of the answers brought it.
    let next = bench.app.refresh(&answer.tokens().refresh).await;
    assert_eq!(next.status, 200, "{}", next.body);
}

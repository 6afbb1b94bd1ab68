//! A spent refresh token counts as answered once its client has the answer, and then for good.

use time::Duration as Span;
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::stores::ends::{SettledEnds, SettledRounds};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_noted_is_not_forgotten_when_mongod_is_killed() {
    let mut bench = Faulty::start().await;
    let pair = bench.app.login().await;
    let tokens = &bench.app.truth.tokens;
    let [access, refresh] =
        [&pair.access, &pair.refresh].map(|token| TokenKey::parse(token).unwrap());
    let found = tokens.find_by_access_token(std::slice::from_ref(&access));
    let record = found.await.unwrap().remove(0).unwrap();
    let end = record.end(bench.app.clock.now(), record.id);
    tokens.remember_ends(&[end]).await.unwrap();
    let settled = SettledEnds {
        answered: vec![access],
        ..SettledEnds::default()
    };
    let rounds = SettledRounds::from([(record.id, settled)]);
    tokens.settle_ends(&rounds).await.unwrap();
    bench.mongod.kill();
    bench.mongod.restart().await;
    let killed = Instant::now();
    let ends = loop {
        match tokens.find_ends(std::slice::from_ref(&refresh)).await {
            Ok(ends) => break ends,
            Err(error) => assert!(killed.elapsed() < 5 * BACK_WITHIN, "{error}"),
        }
    };
    assert!(ends[0].as_ref().unwrap().is_answered);
}

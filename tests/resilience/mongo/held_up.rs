//! A round of writes that MongoDB holds up: who comes after it goes with another one.

use super::fail_point::{Fault, Faulty, Which};
use super::*;

/// How long the writes of the first round take.
const LATE: Duration = Duration::from_secs(2);
/// What a few wait for others to go with is nothing beside this; a debug build on a busy machine is
/// given some slack.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_does_not_wait_for_a_round_that_is_held_up() {
    let bench = Faulty::start().await;
    let app = &bench.app;
    app.add_user("anna", "pass word 1").await;
    let first = app.login().await;
    let second = app.login_as("anna", "pass word 1").await.tokens();
    bench
        .set(Fault::Late(LATE), &["update"], Which::FirstTo("tokens"))
        .await;
    let timed = async |refresh_token: &str| {
        let asked = Instant::now();
        let answer = app.refresh(refresh_token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        asked.elapsed()
    };
    let after = async {
        tokio::time::sleep(LATE / 4).await;
        timed(&second.refresh).await
    };
    let (held_up, after) = tokio::join!(timed(&first.refresh), after);
    assert!(held_up >= LATE, "no round was held up: {held_up:?}");
    assert!(after < ANSWERED_WITHIN, "it waited for another: {after:?}");
}

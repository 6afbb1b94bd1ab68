//! MongoDB is gone or slow for a while: known tokens go on as before, all else is told to come
//! again within its deadline, and all goes on soon after.

use super::fail_point::{ALL, Fault, Faulty, Which};
use super::*;
use crate::figures::tell;
use crate::support::app::Answer;
use crate::support::length::number;

/// Verifications of each measurement.
const SAMPLES: usize = 500;
/// Between two verifications: some 500 a second are asked for.
const PACE: Duration = Duration::from_millis(2);
/// Between two requests of a client that needs the truth.
const PAUSE: Duration = Duration::from_millis(50);
/// What a verification may take longer when a busy machine interrupts a debug build; the promise
/// is a ratio, which means nothing where both sides are a few milliseconds.
const NOISE: Duration = Duration::from_millis(10);
/// A verification's deadline, with slack for a debug build on a busy machine.
const VERIFY_DEADLINE: Duration = Duration::from_millis(250 + 250);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_a_session_through_an_outage() {
    let outage = Duration::from_secs(number("SENTINEL_TEST_OUTAGE_SECONDS", 3));
    let mut bench = Faulty::start().await;
    let Faulty { app, mongod, .. } = &mut bench;
    let mut sessions = Vec::new();
    for index in 0..CLIENTS {
        let name = format!("loop{index}");
        app.add_user(&name, "pass word 1").await;
        sessions.push(app.login_as(&name, "pass word 1").await.tokens());
    }
    let disturbance = async {
        // Some life before, and after.
        for _ in 0..20 {
            sessions = all_refreshed(app, &sessions).await;
        }
        mongod.kill();
        let waiting = async {
            sessions = all_refreshed(app, &sessions).await;
            Instant::now()
        };
        let restart = async {
            tokio::time::sleep(outage).await;
            mongod.restart().await;
            Instant::now()
        };
        let (resumed, back) = tokio::join!(waiting, restart);
        let after = resumed.saturating_duration_since(back);
        tell(format_args!(
            "{outage:?} without MongoDB, resumed after {after:?}"
        ));
        assert!(after < BACK_WITHIN, "resumed after {after:?}");
        for _ in 0..20 {
            sessions = all_refreshed(app, &sessions).await;
        }
    };
    let (histories, ()) = under_load(app, disturbance).await;
    let told: usize = histories.iter().map(|h| h.unavailable + h.unverified).sum();
    let issued: usize = histories.iter().map(|h| h.issued).sum();
    tell(format_args!(
        "{issued} issued, {told} times told to come again"
    ));
    assert!(told > 0, "nobody met the outage");
    check_nothing_lost(app, histories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_tokens_do_not_notice_a_slow_or_absent_mongodb() {
    let mut bench = Faulty::start().await;
    let known = bench.app.login().await;
    bench.app.add_user("other", "pass word 1").await;
    assert_eq!(bench.app.verify(&known.access).await.status, 204);
    let calm = p99(&bench.app, &known, 0).await;
    let late = Fault::Late(Duration::from_secs(2));
    bench.set(late, ALL, Which::AllAfter(0)).await;
    let slow = p99(&bench.app, &known, CLIENTS).await;
    bench.clear().await;
    check_back(&bench.app).await;
    bench.mongod.kill();
    let away = p99(&bench.app, &known, CLIENTS).await;
    bench.mongod.restart().await;
    check_back(&bench.app).await;
    tell(format_args!(
        "p99 calm {calm:?}, slow {slow:?}, away {away:?}"
    ));
    for (what, p99) in [("slow", slow), ("away", away)] {
        assert!(p99 < calm.mul_f64(1.5) + NOISE, "{what}: {p99:?}, {calm:?}");
    }
}

/// Refreshes all of them at once until each has its next pair.
async fn all_refreshed(app: &TestApp, sessions: &[Tokens]) -> Vec<Tokens> {
    join_all(sessions.iter().map(|tokens| refreshed(app, tokens))).await
}

/// The 99th percentile of verifications of a known token, while so many others need the truth.
async fn p99(app: &TestApp, known: &Tokens, others: usize) -> Duration {
    let (done, is_done) = watch::channel(false);
    let verifications = async {
        let mut took = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let asked = Instant::now();
            let answer = app.verify(&known.access).await;
            took.push(asked.elapsed());
            assert_eq!(answer.status, 204, "{}", answer.body);
            tokio::time::sleep(PACE).await;
        }
        done.send_replace(true);
        took.sort();
        took[SAMPLES * 99 / 100]
    };
    let others = join_all((0..others).map(|index| need_the_truth(app, index, is_done.clone())));
    tokio::join!(verifications, others).0
}

/// Logs in and asks for what nobody knows; each answer comes in time and decides nothing wrong.
async fn need_the_truth(app: &TestApp, client: usize, done: watch::Receiver<bool>) {
    for round in 0.. {
        if *done.borrow() {
            return;
        }
        let (login, took) = timed(app.login_as("other", "pass word 1")).await;
        if login.status != 200 {
            check_unavailable_within(&login, took, DEADLINE);
        }
        let unknown = format!("{client:010}{round:020}");
        let (refused, took) = timed(app.verify(&unknown)).await;
        if refused.status != 401 {
            check_unavailable_within(&refused, took, VERIFY_DEADLINE);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn check_back(app: &TestApp) {
    let cleared = Instant::now();
    loop {
        let (login, took) = timed(app.login_as("other", "pass word 1")).await;
        if login.status == 200 {
            break;
        }
        check_unavailable_within(&login, took, DEADLINE);
    }
    let back = cleared.elapsed();
    tell(format_args!("back after {back:?}"));
    assert!(back < BACK_WITHIN, "back after {back:?}");
}

async fn timed(asked: impl Future<Output = Answer>) -> (Answer, Duration) {
    let started = Instant::now();
    let answer = asked.await;
    (answer, started.elapsed())
}

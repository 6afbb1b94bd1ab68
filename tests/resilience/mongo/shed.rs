//! Logins that are too many, while MongoDB is slow.

use super::fail_point::{Fault, Faulty, Which};
use super::*;
use crate::support::app::Answer;

/// A hash takes so long that the queue is full for a while.
const SETTINGS: [(&str, &str); 2] = [
    ("SENTINEL_BCRYPT_COST", "13"),
    ("SENTINEL_PASSWORD_QUEUE", "1"),
];
/// How long each look-up takes.
const LATE: Duration = Duration::from_secs(1);
/// A refusal takes no look-up; a debug build on a busy machine is given some slack.
const REFUSED_WITHIN: Duration = Duration::from_millis(500);
const CALLERS: usize = 16;
/// A place in the queue may come free as they ask, and whoever gets it waits for the store.
const MAY_FIND_ROOM: usize = 4;
/// How often it is tried to ask while there is no room.
const ATTEMPTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_too_many_is_refused_before_a_slow_store_is_asked() {
    let bench = Faulty::start_with(&SETTINGS).await;
    let app = &bench.app;
    let (done, is_done) = watch::channel(false);
    // For a name that nobody has, a hash of the full cost is compared.
    let crowd = join_all((0..16).map(|index| {
        let is_done = is_done.clone();
        async move {
            while !*is_done.borrow() {
                app.login_as(&format!("nobody{index}"), "pass word 1").await;
            }
        }
    }));
    let measured = async {
        let mut answers = ask(&bench).await;
        // All lanes may have come free just then; without the check before the store it is each time.
        for _ in 1..ATTEMPTS {
            if late(&answers) <= MAY_FIND_ROOM {
                break;
            }
            answers = ask(&bench).await;
        }
        done.send_replace(true);
        answers
    };
    let (answers, _) = tokio::join!(measured, crowd);
    let late = late(&answers);
    assert!(late <= MAY_FIND_ROOM, "{late} were late: {answers:?}");
    for (answer, took) in answers {
        if took < REFUSED_WITHIN {
            check_unavailable_within(&answer, took, REFUSED_WITHIN);
        }
    }
}

/// Many ask at once, when one was too many a moment ago and each look-up takes its time from then on.
async fn ask(bench: &Faulty) -> Vec<(Answer, Duration)> {
    let app = &bench.app;
    while app.login_as("other", "pass word 1").await.status != 503 {}
    bench
        .set(Fault::Late(LATE), &["find"], Which::AllAfter(0))
        .await;
    let answers = join_all((0..CALLERS).map(|index| async move {
        let asked = Instant::now();
        let name = ["jonas", "other"][index % 2];
        (app.login_as(name, "pass word 1").await, asked.elapsed())
    }))
    .await;
    bench.clear().await;
    answers
}

fn late(answers: &[(Answer, Duration)]) -> usize {
    let is_late = |(_, took): &&(Answer, Duration)| *took >= REFUSED_WITHIN;
    answers.iter().filter(is_late).count()
}

//! Logins that are too many, while MongoDB is slow.

use super::fail_point::{Fault, Faulty, Which};
use super::*;

/// A hash takes so long that the queue is full for a while.
const SETTINGS: [(&str, &str); 2] = [
    ("SENTINEL_BCRYPT_COST", "13"),
    ("SENTINEL_PASSWORD_QUEUE", "1"),
];
/// How long each look-up takes.
const LATE: Duration = Duration::from_secs(1);
/// A refusal takes no look-up; a debug build on a busy machine is given some slack.
const REFUSED_WITHIN: Duration = Duration::from_millis(500);

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
        while app.login_as("other", "pass word 1").await.status != 503 {}
        bench
            .set(Fault::Late(LATE), &["find"], Which::AllAfter(0))
            .await;
        let mut answers = Vec::new();
        for name in ["jonas", "other"] {
            let asked = Instant::now();
            let answer = app.login_as(name, "pass word 1").await;
            answers.push((answer, asked.elapsed()));
        }
        bench.clear().await;
        done.send_replace(true);
        answers
    };
    let (answers, _) = tokio::join!(measured, crowd);
    for (answer, took) in answers {
        check_unavailable_within(&answer, took, REFUSED_WITHIN);
    }
}

//! A client that keeps a history of what it was told, and checks that nothing acknowledged is
//! lost: after each 200 the new pair lives and the one before is dead; in between there may be
//! 503, at once and with `Retry-After`, and never 401 or `invalid_grant`.

pub(crate) mod check;
pub(crate) mod entry;
pub(crate) mod recorder;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::support::app::{Answer, TestApp, Tokens};

/// The longest a client waits for "not now".
const AT_ONCE: Duration = Duration::from_secs(1);

/// What one client was told.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The pair that was answered with 200 last, and has not been replaced since.
    pub(crate) last: Option<Tokens>,
    /// Token requests answered with 200.
    pub(crate) issued: usize,
    /// Token requests answered with 503.
    pub(crate) unavailable: usize,
    /// Verifications answered with 503.
    pub(crate) unverified: usize,
    /// The longest it waits for "not now".
    patience: Duration,
}

/// Logs in, refreshes and verifies as one user until `done`; then until the last answer is 200.
pub(crate) async fn live(app: &TestApp, username: &str, done: watch::Receiver<bool>) -> History {
    live_patiently(app, username, done, AT_ONCE).await
}

/// As [`live`], where "not now" may take longer.
pub(crate) async fn live_patiently(
    app: &TestApp,
    username: &str,
    done: watch::Receiver<bool>,
    patience: Duration,
) -> History {
    let mut history = History {
        patience,
        ..History::default()
    };
    let mut round = 0;
    while !*done.borrow() {
        round += 1;
        let tokens = match &history.last {
            Some(last) if round % 3 != 0 => {
                let refresh = last.refresh.clone();
                issued(&mut history, || app.refresh(&refresh)).await
            }
            _ => issued(&mut history, || app.login_as(username, "pass word 1")).await,
        };
        check_verified(app, &mut history, &tokens.access, 204).await;
        if let Some(replaced) = history.last.replace(tokens) {
            check_verified(app, &mut history, &replaced.access, 401).await;
        }
    }
    history
}

/// Asks for a pair until there is one.
async fn issued<F: Future<Output = Answer>>(history: &mut History, ask: impl Fn() -> F) -> Tokens {
    loop {
        let started = Instant::now();
        let answer = ask().await;
        if answer.status == 200 {
            history.issued += 1;
            return answer.tokens();
        }
        check_unavailable_within(&answer, started.elapsed(), history.patience);
        history.unavailable += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn check_verified(app: &TestApp, history: &mut History, token: &str, expected: u16) {
    loop {
        let started = Instant::now();
        let answer = app.verify(token).await;
        if answer.status == expected {
            return;
        }
        check_unavailable_within(&answer, started.elapsed(), history.patience);
        history.unverified += 1;
    }
}

/// A refusal for now: 503, and when to come again; within this time.
#[track_caller]
pub(crate) fn check_unavailable_within(answer: &Answer, after: Duration, patience: Duration) {
    assert_eq!(answer.status, 503, "{} after {after:?}", answer.body);
    assert_eq!(answer.error(), "temporarily_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert!(after < patience, "told after {after:?}");
}

//! MongoDB is away, slow, silent, elects a primary or refuses: what needs the truth is told to come
//! again, and comes through when it does; nobody loses a session, and nobody is let in.

mod answered;
mod attempts;
mod elections;
mod fail_point;
mod faults;
mod held_up;
mod hurried;
mod outage;
mod probes;
mod request;
mod shed;
mod unconfirmed;
mod weak_hash;
mod withdrawn;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::history::{History, check_unavailable_within, live_patiently};
use crate::support::app::{TestApp, Tokens};

/// How soon things go on once MongoDB is back or has a primary.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// The longest a token request may take; a debug build on a busy machine is given some slack.
const DEADLINE: Duration = Duration::from_millis(5_000 + 500);
/// Clients that log in, refresh and verify meanwhile.
const CLIENTS: usize = 4;

/// Lets several clients live their lives until `disturbance` is over.
async fn under_load<T>(app: &TestApp, disturbance: impl Future<Output = T>) -> (Vec<History>, T) {
    let names: Vec<String> = (0..CLIENTS).map(|index| format!("user{index}")).collect();
    for name in &names {
        app.add_user(name, "pass word 1").await;
    }
    let (done, is_done) = watch::channel(false);
    let clients = names
        .iter()
        .map(|name| live_patiently(app, name, is_done.clone(), DEADLINE));
    let disturbance = async {
        let outcome = disturbance.await;
        done.send_replace(true);
        outcome
    };
    tokio::join!(join_all(clients), disturbance)
}

/// Each pair that was acknowledged last lives and can be refreshed.
async fn check_nothing_lost(app: &TestApp, histories: Vec<History>) {
    for history in histories {
        assert!(history.issued > 0, "a client did nothing");
        let last = history.last.unwrap();
        check_verified(app, &last.access, 204).await;
        let next = app.refresh(&last.refresh).await;
        assert_eq!(next.status, 200, "{}", next.body);
        check_verified(app, &last.access, 401).await;
        check_verified(app, &next.tokens().access, 204).await;
    }
}

/// This verification comes to this status; a busy machine may make it miss its deadline before.
async fn check_verified(app: &TestApp, token: &str, expected: u16) {
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = app.verify(token).await;
        if answer.status == expected {
            return;
        }
        check_unavailable_within(&answer, asked.elapsed(), DEADLINE);
        assert!(began.elapsed() < BACK_WITHIN, "still {}", answer.status);
    }
}

/// Refreshes a pair until there is a next one; in between there may only be "not now".
async fn refreshed(app: &TestApp, tokens: &Tokens) -> Tokens {
    loop {
        let asked = Instant::now();
        let answer = app.refresh(&tokens.refresh).await;
        if answer.status == 200 {
            return answer.tokens();
        }
        check_unavailable_within(&answer, asked.elapsed(), DEADLINE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

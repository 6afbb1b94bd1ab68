//! Endpoints of several steps, while each look-up in MongoDB takes its time: all of them together have
//! no longer than one.

use warp_sentinel::domain::client::ClientType;

use super::fail_point::{Fault, Faulty, Which};
use super::*;
use crate::support::app::answer;

/// How long each look-up takes: three of them are more than a caller waits.
const LATE: Duration = Duration::from_secs(2);
/// The longest a caller waits, and some slack for a debug build on a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_millis(5_800);
/// For so long a client is believed.
const CLIENT_KEPT_FOR: Duration = Duration::from_millis(1_100);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_revokes_or_introspects_waits_no_longer_than_the_deadline() {
    let bench = Faulty::start_with(&[]).await;
    let app = &bench.app;
    let (id, secret) = app.add_client(ClientType::Confidential).await;
    let unknown = "x".repeat(30);
    let ask = |path: &'static str| app.post_as(path, (&id, &secret), &[("token", &unknown)]);
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        let told = answer(ask(path)).await;
        assert_eq!(told.status, 200, "{}", told.body);
    }
    tokio::time::sleep(CLIENT_KEPT_FOR).await;
    bench
        .set(Fault::Late(LATE), &["find"], Which::AllAfter(0))
        .await;
    let timed = async |path| {
        let asked = Instant::now();
        (answer(ask(path)).await, asked.elapsed())
    };
    let (revoked, told) = tokio::join!(timed("/oauth/revoke"), timed("/oauth/introspect"));
    bench.clear().await;
    for (answer, took) in [revoked, told] {
        check_unavailable_within(&answer, took, ANSWERED_WITHIN);
    }
}

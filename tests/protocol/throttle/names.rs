//! Names by the thousand (CVE-2024-21662): they push out nobody's failures and fill nothing.

use futures_util::StreamExt;
use futures_util::stream::iter;
use mongodb::bson::doc;

use super::{ELSEWHERE, HERE, check_throttled, fail, login, throttled_app};
use crate::support::app::USER;
use crate::support::length::number;
use crate::token_endpoint::raw_collection;

/// Made-up names at a time.
const AT_ONCE: usize = 32;

#[tokio::test]
async fn made_up_names_push_out_no_count_and_fill_no_store() {
    let app = throttled_app().await;
    fail(&app, HERE, USER.0, 3).await;
    let names = number("SENTINEL_TEST_NAMES", 1_000);
    let answers = iter(0..names).map(|number| {
        let app = &app;
        async move { login(app, ELSEWHERE, &format!("nobody{number}"), "wrong").await }
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let seen = answers.iter().filter(|answer| answer.status == 400).count();
    let unseen = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((seen, unseen), (6, names - 6));
    let refused = login(&app, HERE, USER.0, USER.1).await;
    check_throttled("who guessed before", refused);
    let refused = login(&app, ELSEWHERE, USER.0, USER.1).await;
    check_throttled("who made up names", refused);
    // Two networks; and as many names as were counted in them.
    let attempts = raw_collection(&app, "attempts").await;
    let kept = attempts.count_documents(doc! {}).await.unwrap();
    assert!(kept <= 2 + 1 + 6 + 1, "{kept} counts");
}

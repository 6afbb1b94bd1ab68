//! A refusal takes as long whatever its reason (OWASP ASVS 6.3.8; CVE-2025-6011, CVE-2026-41263).
//!
//! `SENTINEL_TEST_SAMPLES` is how often each reason is timed.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};

use crate::alone::serial;
use crate::figures::{spread, tell};
use crate::support::app::{TestApp, USER, spawn_app_with};
use crate::support::length::number;
use crate::support::stores::stores;

/// Log2 of the rounds.
const COST: u32 = 10;
/// Samples of each reason, and how often so many are taken on a busy machine.
const SAMPLES: usize = 25;
const MOST_ROUNDS: usize = 6;
/// Who guesses hears of no difference below this part of the time, beside what else takes time.
const PART: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_takes_as_long_whatever_is_wrong() {
    let _alone = serial().await;
    let app = spawn_app_with(&[
        ("SENTINEL_BCRYPT_COST", &COST.to_string()),
        // Counted, but never reached.
        ("SENTINEL_THROTTLE_USER", "1000000"),
        ("SENTINEL_THROTTLE_NETWORK", "1000000"),
    ])
    .await;
    let reasons = [
        "unknown",
        "wrong",
        "disabled",
        "no hash",
        "no bcrypt",
        "cut short",
    ];
    fill(&app).await;
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); reasons.len()];
    let samples = number("SENTINEL_TEST_SAMPLES", SAMPLES);
    // What else the machine does blurs a few samples; a difference that is there stays, however many
    // there are.
    loop {
        for _ in 0..samples {
            time_each(&app, &reasons, &mut times).await;
        }
        let medians: Vec<Duration> = times.iter_mut().map(|own| spread(own).0).collect();
        let usual = medians[1];
        let is_usual = |median: &Duration| median.abs_diff(usual) < usual / PART;
        if medians.iter().all(is_usual) {
            return tell(format!("refused for {reasons:?} within {medians:.1?}"));
        }
        let taken = times[0].len();
        assert!(
            taken < MOST_ROUNDS * samples,
            "{reasons:?} within {medians:?}"
        );
    }
}

/// Times a refusal for each reason, in turns, so that whatever else the machine does meets all alike.
async fn time_each(app: &TestApp, reasons: &[&str], times: &mut [Vec<Duration>]) {
    for (reason, own) in reasons.iter().zip(times) {
        let password = if *reason == "wrong" { "wrong" } else { USER.1 };
        let began = Instant::now();
        let refused = app.login_as(reason, password).await;
        own.push(began.elapsed());
        assert_eq!(refused.error(), "invalid_grant", "{reason}");
    }
}

async fn fill(app: &TestApp) {
    let hash = bcrypt::hash(USER.1, COST).unwrap();
    let user = |name: &str, hash: Option<&str>| {
        let mut user = doc! { "username": name, "schema": 1, "disabled": name == "disabled" };
        user.extend(hash.map(|hash| ("hashpw".to_owned(), Bson::from(hash))));
        user
    };
    let client = Client::with_uri_str(stores().await.mongo_uri()).await;
    let users = client.unwrap().database(&app.database);
    let users = users.collection::<Document>("users");
    let documents = [
        user("wrong", Some(&hash)),
        user("disabled", Some(&hash)),
        user("no hash", None),
        user("no bcrypt", Some("plain")),
        user("cut short", Some(&hash[..40])),
    ];
    users.insert_many(documents).await.unwrap();
}

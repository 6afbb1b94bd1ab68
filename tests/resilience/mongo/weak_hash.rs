//! A login whose password hash has too few rounds, while MongoDB is slow.

use super::fail_point::{Fault, Faulty, Which};
use super::*;

/// A hash of so many rounds takes longer than the login has left.
const SETTINGS: [(&str, &str); 3] = [
    ("SENTINEL_BCRYPT_COST", "15"),
    ("SENTINEL_THROTTLE_USER", "10"),
    ("SENTINEL_THROTTLE_NETWORK", "10"),
];
/// How long each of the two counts of a login takes, the second after the first.
const LATE: Duration = Duration::from_millis(2_050);

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_little_time_left_keeps_its_weak_hash_and_its_pair() {
    let bench = Faulty::start_with(&SETTINGS).await;
    bench
        .set(Fault::Late(LATE), &["findAndModify"], Which::AllAfter(0))
        .await;
    let asked = Instant::now();
    let tokens = bench.app.login().await;
    assert!(asked.elapsed() >= 2 * LATE, "it had time left");
    assert_eq!(bench.app.verify(&tokens.access).await.status, 204);
}

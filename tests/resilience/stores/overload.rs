//! More logins than processors: what is too much is shed at once, and verification does not
//! notice.

use futures_util::future::join_all;

use super::*;
use crate::alone::serial;

/// The cost of a hash that takes some 50 ms.
const SLOW: (&str, &str) = ("SENTINEL_BCRYPT_COST", "10");

#[tokio::test(flavor = "multi_thread")]
async fn too_many_logins_are_refused_at_once_and_verification_does_not_notice() {
    let _alone = serial().await;
    let app = spawn_app_with(&[SLOW, ("SENTINEL_PASSWORD_QUEUE", "1")]).await;
    let tokens = app.login().await;
    let logins = (0..50).map(|index| {
        let app = &app;
        // Nobody of that name: the dummy hash has the configured cost.
        async move { timed(app.login_as(&format!("nobody{index}"), "pass word 1")).await }
    });
    let verifications = async {
        for _ in 0..20 {
            let (answer, took) = timed(app.verify(&tokens.access)).await;
            assert_eq!(answer.status, 204);
            assert!(took < Duration::from_millis(500), "took {took:?}");
        }
    };
    let (logins, ()) = tokio::join!(join_all(logins), verifications);
    let (shed, done): (Vec<_>, Vec<_>) = logins.iter().partition(|(a, _)| a.status == 503);
    assert!(
        !shed.is_empty() && !done.is_empty(),
        "{} of 50 shed",
        shed.len()
    );
    for (answer, took) in shed {
        assert_eq!(answer.error(), "temporarily_unavailable");
        assert!(!answer.header("retry-after").is_empty());
        assert!(*took < Duration::from_secs(2), "took {took:?}");
    }
    for (answer, _) in done {
        assert_eq!(answer.error(), "invalid_grant", "{}", answer.body);
    }
    assert_eq!(app.login_as("jonas", "pass word 1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_client_has_left_is_not_hashed() {
    let _alone = serial().await;
    let app = spawn_app_with(&[("SENTINEL_BCRYPT_COST", "12")]).await;
    let (_, alone) = timed(app.login_as("nobody", "pass word 1")).await;
    // Some 60 hashes wait, which would take two processors six times as long as one login.
    let logins = join_all((0..60).map(|_| app.login_as("nobody", "pass word 1")));
    let left = tokio::time::timeout(alone * 3, logins).await;
    assert!(left.is_err(), "nobody left");
    // The dead ones are counted until a worker comes to them.
    let left = Instant::now();
    loop {
        let answer = app.login_as("nobody", "pass word 1").await;
        let took = left.elapsed();
        assert!(took < alone * 10, "took {took:?}, alone {alone:?}");
        if answer.status == 400 {
            return;
        }
        assert_eq!(answer.error(), "temporarily_unavailable");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

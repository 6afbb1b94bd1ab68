//! What left Redis because the truth did not tell whether it has ended is there again once it tells: a
//! program that reads Redis alone must not turn away who holds a live token.

use std::time::{Duration, Instant};

use ::redis::AsyncCommands;

use super::fail_point::{ALL, Fault, Faulty, Which};
use crate::support::app::TestApp;

/// `OutOfDiskSpace`: none that is tried again.
const FAULT: Fault = Fault::Code(14_031);
/// More storage calls than a request makes.
const CALLS: i32 = 9;
/// A look for what Redis lacks begins five seconds after the last at the earliest.
const BACK_WITHIN: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_is_in_redis_again_after_a_fault_at_any_storage_call() {
    let bench = Faulty::start().await;
    let app = &bench.app;
    let mut refused = 0;
    for call in 0..CALLS {
        let users = [format!("refreshes{call}"), format!("returns{call}")];
        for name in &users {
            app.add_user(name, "pass word 1").await;
        }
        let tokens = app.login_as(&users[0], "pass word 1").await.tokens();
        app.login_as(&users[1], "pass word 1").await;
        for (index, name) in users.iter().enumerate() {
            bench.set(FAULT, ALL, Which::AllAfter(call)).await;
            let answer = match index {
                0 => app.refresh(&tokens.refresh).await,
                _ => app.login_as(name, "pass word 1").await,
            };
            bench.clear().await;
            refused += u32::from(!answer.status.is_success());
        }
    }
    assert!(refused > 4, "{refused} requests met a fault");
    let cleared = Instant::now();
    while let missing @ 1.. = missing_in_redis(app).await {
        let since = cleared.elapsed();
        assert!(
            since < BACK_WITHIN,
            "{missing} live tokens are not in Redis"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How many tokens that live in the truth a reader of Redis does not find there.
async fn missing_in_redis(app: &TestApp) -> usize {
    let now = app.clock.now();
    let live = app.truth.tokens.list_live(now, None, 1_000).await.unwrap();
    let tokens: Vec<&str> = live.iter().map(|own| own.access_token.expose()).collect();
    let client = ::redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let found: Vec<Option<String>> = redis.mget(&tokens).await.unwrap();
    assert!(!found.is_empty());
    found.iter().filter(|user| user.is_none()).count()
}

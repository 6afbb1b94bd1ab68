//! What was held up on its way to Redis arrives when nobody waits for it any more.

use warp_sentinel::actors::supervisor::faults::Moment;

use super::*;
use crate::proxy::Proxy;

/// Long enough for what was held up to be carried out.
const ARRIVED_WITHIN: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_of_a_shard_that_was_restarted_brings_no_ended_token_back() {
    let redis = start_redis(&[]).await;
    let proxy = Proxy::before(redis.address()).await;
    let through = url(proxy.address());
    let settings = [
        ("SENTINEL_REDIS_URL", through.as_str()),
        ("SENTINEL_CACHE_SHARDS", "1"),
    ];
    let app = spawn_app_with(&settings).await;
    becomes(&app, "ready", PATIENCE).await;
    let mut link = raw(redis.address()).await;
    // The actor dies with a write on its way, on a connection that says no more.
    let moment = Moment::After("change");
    let plan = app.sentinel.plan_panic("token_cache.0", moment, 1);
    let plan = plan.await.unwrap();
    proxy.forget_connections();
    let pair = app.login().await;
    assert_eq!(plan.happened(), 1);
    becomes(&app, "ready", PATIENCE).await;
    assert_eq!(app.revoke(&pair.access).await.status, 204);
    assert_eq!(keys_of(&mut link, &[&pair.access]).await, 0);

    proxy.remember_connections();
    let remembered = Instant::now();
    while remembered.elapsed() < ARRIVED_WITHIN {
        assert_eq!(keys_of(&mut link, &[&pair.access]).await, 0, "it came back");
        check_ended(&app, &[&pair.access]).await;
    }
}

//! `POST /oauth/revoke` while a store is away (RFC 7009 §2.2.1): a client is never told that a token is
//! dead that may live on somewhere.

use ::redis::AsyncCommands;

use super::*;
use crate::support::app::answer;

impl Bench {
    /// Revokes as the client of the token.
    async fn revoke_own(&self, token: &str) -> Answer {
        let form = [("client_id", self.app.client_id.as_str()), ("token", token)];
        answer(self.app.post_form("/oauth/revoke", &form)).await
    }
}

/// I11, CVE-2020-15223: 503 and not 200, however often, until Redis goes without the token.
#[tokio::test]
async fn without_redis_no_token_is_told_as_revoked_and_a_repeat_ends_it() {
    let bench = bench().await;
    let mut raw = bench.raw_redis().await;
    let tokens = bench.app.login().await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
    bench.redis.cut();
    bench.becomes("degraded").await;
    for token in [&tokens.refresh, &tokens.access, &tokens.refresh] {
        let refused = bench.revoke_own(token).await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert_eq!(refused.error(), "temporarily_unavailable");
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert_eq!(bench.verify(&tokens.access).await, 401);
    assert_eq!(raw.exists::<_, usize>(&tokens.access).await.unwrap(), 1);
    bench.redis.open();
    bench.becomes("ready").await;
    let done = bench.revoke_own(&tokens.refresh).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(raw.exists::<_, usize>(&tokens.access).await.unwrap(), 0);
}

/// I11: without the truth nothing is revoked, and Redis goes without the token meanwhile.
#[tokio::test]
async fn without_mongodb_no_token_is_told_as_revoked_and_it_lives_on() {
    let bench = bench().await;
    let tokens = bench.app.login().await;
    bench.mongo.cut();
    for token in [&tokens.access, &tokens.refresh] {
        let refused = bench.revoke_own(token).await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert_eq!(refused.error(), "temporarily_unavailable");
    }
    bench.mongo.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&tokens.access).await, 204);
    assert_eq!(bench.revoke_own(&tokens.access).await.status, 200);
    assert_eq!(bench.verify(&tokens.access).await, 401);
}

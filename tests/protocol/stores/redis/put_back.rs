//! Putting live tokens back: none outlives its end, nobody reads one before it is confirmed.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::token::Grant;
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::settings::RedisTopology;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::stores::redis::connection::RedisConnection;
use warp_sentinel::stores::redis::provisional::{Outcome, Put};

use crate::support::stores::start_redis;

use super::super::fixtures::{id, token};
use super::{bench, connect, grant, raw, set};

/// The value of the plain key, as other programs read it.
async fn plain(other: &mut MultiplexedConnection, token: &TokenKey) -> Option<String> {
    other.get(token.expose()).await.unwrap()
}

/// How many keys a token has, and for how many milliseconds the one that ends first.
async fn keys(other: &mut MultiplexedConnection, token: &TokenKey) -> (usize, i64) {
    let mut lives = Vec::new();
    for key in [
        token.expose().to_owned(),
        format!("sentinel:{{{}}}", token.expose()),
    ] {
        let rest: i64 = other.pttl(key).await.unwrap();
        lives.extend((rest != -2).then_some(rest));
    }
    (lives.len(), lives.iter().copied().min().unwrap_or(0))
}

async fn put(ours: &RedisConnection, which: Put, grants: &[(TokenKey, &Grant)]) -> Outcome {
    let now = Clock::default().now();
    ours.put(which, grants, now).await.unwrap()
}

#[tokio::test]
async fn a_token_is_nobodys_before_it_is_confirmed_and_whole_after() {
    let mut bench = bench().await;
    let (now, token) = (Clock::default().now(), token(1));
    let live = grant(now);
    let grants = [(token.clone(), &live)];
    let outcome = put(&bench.ours, Put::Any, &grants).await;
    assert_eq!(outcome, Outcome::Put(vec![token.clone()]));
    assert_eq!(plain(&mut bench.other, &token).await, None);
    let (count, rest) = keys(&mut bench.other, &token).await;
    assert!(count == 1 && (1..=5_000).contains(&rest), "{count} {rest}");
    let found = bench.ours.find_many(std::slice::from_ref(&token)).await;
    assert_eq!(found.unwrap(), [None]);

    bench.ours.confirm(&grants, now).await.unwrap();
    assert_eq!(
        plain(&mut bench.other, &token).await,
        Some(id(1).to_string())
    );
    let (count, rest) = keys(&mut bench.other, &token).await;
    assert!(count == 2 && rest > 3_500_000, "{count} {rest}");
    let found = bench.ours.find_many(&[token]).await.unwrap();
    assert_eq!(found, [Some(live)]);
}

#[tokio::test]
async fn a_token_that_ends_before_it_is_confirmed_does_not_come_back() {
    let mut bench = bench().await;
    let (now, token) = (Clock::default().now(), token(1));
    let live = grant(now);
    let grants = [(token.clone(), &live)];
    put(&bench.ours, Put::Any, &grants).await;
    bench
        .ours
        .delete(std::slice::from_ref(&token))
        .await
        .unwrap();
    bench.ours.confirm(&grants, now).await.unwrap();
    assert_eq!(keys(&mut bench.other, &token).await, (0, 0));
}

#[tokio::test]
async fn only_what_is_absent_is_put_when_asked_so() {
    let bench = bench().await;
    let now = Clock::default().now();
    let live = grant(now);
    bench
        .ours
        .publish(&[set(1, live.clone())], now)
        .await
        .unwrap();
    let grants = [(token(1), &live), (token(2), &live)];
    let outcome = put(&bench.ours, Put::Absent, &grants).await;
    assert_eq!(outcome, Outcome::Put(vec![token(2)]));
}

#[tokio::test]
async fn a_server_without_copy_takes_tokens_back_too() {
    let server = start_redis(&["--rename-command", "COPY", ""]).await;
    let url = format!("redis://{}", server.address());
    let (ours, _) = connect(&RedisTopology::Endpoints(vec![Secret::new(&url)])).await;
    let (now, token) = (Clock::default().now(), token(1));
    let live = grant(now);
    let grants = [(token.clone(), &live)];
    put(&ours, Put::Any, &grants).await;
    ours.confirm(&grants, now).await.unwrap();
    assert_eq!(
        plain(&mut raw(&url).await, &token).await,
        Some(id(1).to_string())
    );
}

//! Servers that are not, or no longer, fit for use: full, a replica, with an earlier connection of
//! ours that is still there.

use redis::aio::MultiplexedConnection;
use warp_sentinel::clock::Clock;
use warp_sentinel::settings::RedisTopology;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::stores::redis::connection::{Publication, RedisConnection};
use warp_sentinel::stores::redis::endpoints::RedisEndpoints;
use warp_sentinel::telemetry::chain::Chain;

use crate::support::server::Server;
use crate::support::stores::start_redis;

use super::super::fixtures::token;
use super::{PATIENT, connect, grant, raw, set};

fn topology(server: &Server, user: &str) -> RedisTopology {
    let address = format!("redis://{user}{}", server.address());
    RedisTopology::Endpoints(vec![Secret::new(address)])
}

async fn pair(options: &[&str]) -> (Server, RedisConnection, MultiplexedConnection) {
    let server = start_redis(options).await;
    let (ours, _) = connect(&topology(&server, "")).await;
    let other = raw(&format!("redis://{}", server.address())).await;
    (server, ours, other)
}

async fn say(link: &mut MultiplexedConnection, words: &str) -> redis::Value {
    let mut command = redis::Cmd::new();
    for word in words.split(' ') {
        command.arg(word);
    }
    command.query_async(link).await.unwrap()
}

/// Why a server cannot be used, as an operator reads it.
async fn refusal(topology: &RedisTopology) -> String {
    let endpoints = RedisEndpoints::new(topology).unwrap();
    let endpoint = &endpoints.endpoints()[0];
    let Err(error) = endpoint.connect(PATIENT, None, |_| {}).await else {
        panic!("it is used")
    };
    Chain(&error).to_string()
}

#[tokio::test]
async fn a_full_server_carries_out_deletions_takes_no_tokens_and_stays_in_use() {
    let (_server, ours, mut other) = pair(&["--maxmemory-policy", "noeviction"]).await;
    let now = Clock::default().now();
    let earlier = [set(1, grant(now)), set(5, grant(now))];
    ours.publish(&earlier, now).await.unwrap();
    say(&mut other, "CONFIG SET maxmemory 1").await;
    let successor = Publication {
        delete: vec![token(1)],
        ..set(2, grant(now))
    };
    ours.publish(&[successor, set(3, grant(now))], now)
        .await
        .unwrap();
    // A batch without deletions is no fault either.
    ours.publish(&[set(4, grant(now))], now).await.unwrap();
    let revocation = Publication {
        set: Vec::new(),
        delete: vec![token(5)],
    };
    ours.publish(&[revocation], now).await.unwrap();
    let found = ours.find_many(&[1, 2, 3, 4, 5].map(token)).await.unwrap();
    assert_eq!(found, [None, None, None, None, None]);

    say(&mut other, "CONFIG SET maxmemory 0").await;
    ours.publish(&[set(2, grant(now))], now).await.unwrap();
    let found = ours.find_many(&[token(2)]).await.unwrap();
    assert_eq!(found, [Some(grant(now))]);
}

#[tokio::test]
async fn a_server_that_refuses_writes_for_another_reason_is_a_fault() {
    let (server, ours, mut other) = pair(&[]).await;
    let now = Clock::default().now();
    let port = server.address().port();
    say(&mut other, &format!("REPLICAOF 127.0.0.1 {port}")).await;
    assert!(ours.publish(&[set(1, grant(now))], now).await.is_err());
}

#[tokio::test]
async fn a_replica_is_refused_in_words_that_help_whatever_its_user_may_ask() {
    let server = start_redis(&[]).await;
    let mut other = raw(&format!("redis://{}", server.address())).await;
    say(&mut other, "REPLICAOF 127.0.0.1 1").await;
    say(
        &mut other,
        "ACL SETUSER few on >pw ~* +@all -@admin -@dangerous",
    )
    .await;
    say(&mut other, "ACL SETUSER old on >pw ~* +@all -hello").await;
    for user in ["", "few:pw@", "old:pw@"] {
        let told = refusal(&topology(&server, user)).await;
        assert!(told.contains("it is a replica"), "{user:?}: {told}");
        assert!(told.contains("SENTINEL_REDIS_URL"), "{user:?}: {told}");
    }
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_shows_it_at_the_next_sign_of_life() {
    let (server, ours, mut other) = pair(&[]).await;
    say(
        &mut other,
        "ACL SETUSER few on >pw ~* +@all -@admin -@dangerous",
    )
    .await;
    let (few, _) = connect(&topology(&server, "few:pw@")).await;
    for link in [&ours, &few] {
        link.ping().await.unwrap();
    }
    say(&mut other, "REPLICAOF 127.0.0.1 1").await;
    for link in [&ours, &few] {
        let told = Chain(&link.ping().await.unwrap_err()).to_string();
        assert!(told.contains("it is a replica"), "{told}");
    }
}

#[tokio::test]
async fn a_user_that_may_ask_nothing_of_the_server_is_served() {
    let (server, _, mut other) = pair(&[]).await;
    say(
        &mut other,
        "ACL SETUSER bare on >pw ~* +@read +@write +@transaction +ping",
    )
    .await;
    let (ours, _) = connect(&topology(&server, "bare:pw@")).await;
    let now = Clock::default().now();
    assert!(!ours.tracks_changes() && ours.id().is_none());
    ours.ping().await.unwrap();
    ours.publish(&[set(1, grant(now))], now).await.unwrap();
    let found = ours.find_many(&[token(1)]).await.unwrap();
    assert_eq!(found, [Some(grant(now))]);
}

#[tokio::test]
async fn a_connection_ends_its_predecessor_before_it_is_handed_out() {
    let (server, first, _) = pair(&[]).await;
    let topology = topology(&server, "");
    let endpoints = RedisEndpoints::new(&topology).unwrap();
    let endpoint = &endpoints.endpoints()[0];
    let (unrelated, _) = connect(&topology).await;
    let predecessor = first.id().cloned();
    assert!(predecessor.is_some());
    let second = endpoint.connect(PATIENT, predecessor.as_ref(), |_| {});
    let second = second.await.unwrap();
    assert!(first.ping().await.is_err());
    second.ping().await.unwrap();
    unrelated.ping().await.unwrap();
    // Gone already: nothing to end.
    let third = endpoint.connect(PATIENT, predecessor.as_ref(), |_| {});
    third.await.unwrap().ping().await.unwrap();
    second.ping().await.unwrap();
}

#[tokio::test]
async fn a_predecessor_at_an_earlier_server_ends_nobody_at_the_present_one() {
    let (mut server, first, _) = pair(&[]).await;
    let topology = topology(&server, "");
    let predecessor = first.id().cloned().unwrap();
    server.kill();
    server.restart().await;
    // The numbers begin anew: one of these has that of the predecessor.
    let mut later = Vec::new();
    for _ in 0..16 {
        later.push(connect(&topology).await.0);
    }
    let endpoints = RedisEndpoints::new(&topology).unwrap();
    let endpoint = &endpoints.endpoints()[0];
    let successor = endpoint.connect(PATIENT, Some(&predecessor), |_| {});
    successor.await.unwrap().ping().await.unwrap();
    for link in later {
        link.ping().await.unwrap();
    }
}

//! The Redis side of the storage contract, read as another program reads it, and the events by
//! which a local copy stays true.

mod continuity;
mod faults;
mod put_back;
mod servers;
mod transports;

use std::time::Duration;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{Grant, GrantUser};
use warp_sentinel::settings::RedisTopology;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::stores::redis::connection::{Publication, RedisConnection};
use warp_sentinel::stores::redis::endpoints::{CacheEvent, RedisDeadlines, RedisEndpoints};

use crate::support::stores::{start_redis, stores};

use super::fixtures::{id, token};

/// Deadlines for a machine that runs all tests at once.
const PATIENT: RedisDeadlines = RedisDeadlines {
    connect: Duration::from_secs(10),
    response: Duration::from_secs(10),
};

/// A connection of ours, its events, and one of another program to the same database.
struct Bench {
    ours: RedisConnection,
    events: UnboundedReceiver<CacheEvent>,
    other: MultiplexedConnection,
    database: u32,
}

async fn bench() -> Bench {
    let stores = stores().await;
    let database = stores.fresh_redis_db();
    let url = stores.redis_url(database);
    let topology = RedisTopology::Endpoints(vec![Secret::new(&url)]);
    let (ours, events) = connect(&topology).await;
    Bench {
        ours,
        events,
        other: raw(&url).await,
        database,
    }
}

async fn connect(topology: &RedisTopology) -> (RedisConnection, UnboundedReceiver<CacheEvent>) {
    let endpoints = RedisEndpoints::new(topology).unwrap();
    let (sender, events) = unbounded_channel();
    let on_event = move |event| {
        // A test that has ended listens no more.
        let _ = sender.send(event);
    };
    let endpoint = &endpoints.endpoints()[0];
    (
        endpoint.connect(PATIENT, None, on_event).await.unwrap(),
        events,
    )
}

async fn raw(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn grant(now: OffsetDateTime) -> Grant {
    Grant {
        user: Some(GrantUser {
            id: id(1),
            username: "jonas".to_owned(),
        }),
        client_id: ClientId::new("app"),
        scope: Scope::parse("read").unwrap(),
        issued_at: now,
        expires_at: now + time::Duration::hours(1),
    }
}

fn set(number: u32, grant: Grant) -> Publication {
    Publication {
        set: vec![(token(number), grant)],
        delete: Vec::new(),
    }
}

async fn wait_for(events: &mut UnboundedReceiver<CacheEvent>, wanted: &CacheEvent) {
    let wait = async { while events.recv().await.expect("the connection is there") != *wanted {} };
    let outcome = tokio::time::timeout(Duration::from_secs(10), wait).await;
    outcome.unwrap_or_else(|_| panic!("{wanted:?} never came"));
}

#[tokio::test]
async fn another_program_reads_the_user_under_the_token_for_the_rest_of_its_life() {
    let mut bench = bench().await;
    let now = Clock::default().now();
    bench
        .ours
        .publish(&[set(1, grant(now))], now)
        .await
        .unwrap();
    let key = token(1).expose().to_owned();
    let value: String = bench.other.get(&key).await.unwrap();
    assert_eq!(value, id(1).to_string());
    for key in [key.clone(), format!("sentinel:{{{key}}}")] {
        let ttl_millis: i64 = bench.other.pttl(&key).await.unwrap();
        assert!(
            (3_590_000..=3_600_000).contains(&ttl_millis),
            "{ttl_millis}"
        );
    }
}

#[tokio::test]
async fn a_published_grant_is_found_whole() {
    let bench = bench().await;
    let now = Clock::default().now();
    bench
        .ours
        .publish(&[set(1, grant(now))], now)
        .await
        .unwrap();
    let found = bench.ours.find_many(&[token(2), token(1)]).await.unwrap();
    assert_eq!(found, [None, Some(grant(now))]);
}

#[tokio::test]
async fn a_key_of_flask_sentinel_alone_proves_nothing() {
    let mut bench = bench().await;
    let key = token(1).expose().to_owned();
    let _: () = bench
        .other
        .set_ex(&key, id(1).to_string(), 3_600)
        .await
        .unwrap();
    assert_eq!(bench.ours.find_many(&[token(1)]).await.unwrap(), [None]);
}

#[tokio::test]
async fn an_ended_grant_and_one_without_a_user_leave_no_key() {
    let mut bench = bench().await;
    let now = Clock::default().now();
    let ended = Grant {
        expires_at: now,
        ..grant(now)
    };
    let of_client = Grant {
        user: None,
        ..grant(now)
    };
    let publications = [set(1, ended), set(2, of_client)];
    bench.ours.publish(&publications, now).await.unwrap();
    let keys: usize = redis::cmd("DBSIZE")
        .query_async(&mut bench.other)
        .await
        .unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn a_replaced_token_goes_when_its_successor_comes() {
    let mut bench = bench().await;
    let now = Clock::default().now();
    let successor = Publication {
        delete: vec![token(1)],
        ..set(2, grant(now))
    };
    let batch = [set(1, grant(now)), successor];
    bench.ours.publish(&batch, now).await.unwrap();
    let found = bench.ours.find_many(&[token(1), token(2)]).await.unwrap();
    assert_eq!(found, [None, Some(grant(now))]);
    bench.ours.delete(&[token(2)]).await.unwrap();
    let keys: usize = redis::cmd("DBSIZE")
        .query_async(&mut bench.other)
        .await
        .unwrap();
    assert_eq!(keys, 0);
    bench.ours.ping().await.unwrap();
}

#[tokio::test]
async fn a_revocation_by_another_server_is_told() {
    let mut bench = bench().await;
    let now = Clock::default().now();
    assert!(bench.ours.tracks_changes());
    bench
        .ours
        .publish(&[set(1, grant(now))], now)
        .await
        .unwrap();
    bench.ours.find_many(&[token(1)]).await.unwrap();
    let key = token(1).expose().to_owned();
    let _: () = bench.other.del(&key).await.unwrap();
    wait_for(&mut bench.events, &CacheEvent::Invalidated(vec![token(1)])).await;
}

#[tokio::test]
async fn a_token_that_was_not_there_is_told_when_it_comes() {
    let mut bench = bench().await;
    assert_eq!(bench.ours.find_many(&[token(3)]).await.unwrap(), [None]);
    let key = token(3).expose().to_owned();
    let _: () = bench
        .other
        .set_ex(&key, id(1).to_string(), 60)
        .await
        .unwrap();
    wait_for(&mut bench.events, &CacheEvent::Invalidated(vec![token(3)])).await;
}

#[tokio::test]
async fn an_emptied_server_is_told() {
    // One of its own: Redis tells it to the connections of all databases.
    let server = start_redis(&[]).await;
    let url = format!("redis://{}", server.address());
    let (_ours, mut events) = connect(&RedisTopology::Endpoints(vec![Secret::new(&url)])).await;
    let mut other = raw(&url).await;
    let _: () = redis::cmd("FLUSHDB").query_async(&mut other).await.unwrap();
    wait_for(&mut events, &CacheEvent::InvalidatedAll).await;
}

#[tokio::test]
async fn a_lost_connection_is_told_and_answers_no_more() {
    let mut bench = bench().await;
    let list = redis::cmd("CLIENT").arg("LIST").to_owned();
    let clients: String = list.query_async(&mut bench.other).await.unwrap();
    let own = redis::cmd("CLIENT").arg("ID").to_owned();
    let own: u64 = own.query_async(&mut bench.other).await.unwrap();
    let of_database = format!(" db={} ", bench.database);
    for client in clients
        .lines()
        .filter(|client| client.contains(&of_database))
    {
        let id = client
            .strip_prefix("id=")
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        if id != own.to_string() {
            let kill = redis::cmd("CLIENT").arg(&["KILL", "ID", id]).to_owned();
            let _: u64 = kill.query_async(&mut bench.other).await.unwrap();
        }
    }
    wait_for(&mut bench.events, &CacheEvent::Disconnected).await;
    assert!(bench.ours.ping().await.is_err());
}

#[tokio::test]
async fn a_database_with_foreign_keys_is_warned_of() {
    let mut bench = bench().await;
    let _: () = bench.other.set("session:anna", "1").await.unwrap();
    let warnings = bench.ours.diagnose().await;
    let is_foreign = |warning: &&String| warning.contains("sampled keys are not tokens");
    assert_eq!(
        warnings.iter().filter(is_foreign).count(),
        1,
        "{warnings:?}"
    );
    assert!(
        !warnings
            .iter()
            .any(|warning| warning.contains("persistence"))
    );
    assert!(!warnings.iter().any(|warning| warning.contains("anna")));
}

//! Other servers than one recent Redis: a cluster, an old one, one that lets us do less.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use warp_sentinel::clock::Clock;
use warp_sentinel::settings::RedisTopology;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::stores::redis::connection::Publication;

use crate::support::stores::{start_redis, stores};

use super::super::fixtures::token;
use super::{bench, connect, grant, raw, set};

#[tokio::test]
async fn a_server_older_than_redis_6_is_used_without_events() {
    let server = start_redis(&["--rename-command", "HELLO", ""]).await;
    let url = format!("redis://{}", server.address());
    let (ours, _) = connect(&RedisTopology::Endpoints(vec![Secret::new(url)])).await;
    assert!(!ours.tracks_changes());
    let now = Clock::default().now();
    ours.publish(&[set(1, grant(now))], now).await.unwrap();
    let found = ours.find_many(&[token(1)]).await.unwrap();
    assert_eq!(found, [Some(grant(now))]);
}

#[tokio::test]
async fn a_user_that_may_not_track_is_used_without_events() {
    let bench = bench().await;
    let url = stores().await.redis_url(bench.database);
    let mut other = bench.other;
    let rules = [
        "SETUSER",
        "plain",
        "on",
        ">pw",
        "~*",
        "+@all",
        "-client|tracking",
    ];
    let acl = redis::cmd("ACL").arg(&rules).to_owned();
    let _: () = acl.query_async(&mut other).await.unwrap();
    let url = url.replace("redis://", "redis://plain:pw@");
    let (ours, _) = connect(&RedisTopology::Endpoints(vec![Secret::new(url)])).await;
    assert!(!ours.tracks_changes());
    ours.ping().await.unwrap();
}

/// Asks a node of a cluster.
async fn ask(node: &mut MultiplexedConnection, words: &[&str]) -> String {
    let command = redis::cmd("CLUSTER").arg(words).to_owned();
    command.query_async(node).await.unwrap()
}

/// Asks a node again and again until the answer holds these words.
async fn becomes(node: &mut MultiplexedConnection, words: &[&str], expected: &str) {
    let ready = async {
        while !ask(node, words).await.contains(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), ready).await;
    waited.unwrap_or_else(|_| panic!("{words:?} never said {expected}"));
}

#[tokio::test]
async fn another_node_that_serves_a_cluster_after_a_failover_is_noticed() {
    let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let (first, second) = tokio::join!(start_redis(&options), start_redis(&options));
    let url = format!("redis://{}", first.address());
    let (mut primary, mut replica) = (
        raw(&url).await,
        raw(&format!("redis://{}", second.address())).await,
    );
    ask(&mut primary, &["ADDSLOTSRANGE", "0", "16383"]).await;
    let name = ask(&mut primary, &["MYID"]).await;
    let bus: String = redis::cmd("CONFIG")
        .arg(&["GET", "cluster-port"])
        .query_async::<Vec<String>>(&mut primary)
        .await
        .unwrap()
        .swap_remove(1);
    let port = first.address().port().to_string();
    ask(&mut replica, &["MEET", "127.0.0.1", &port, &bus]).await;
    becomes(&mut replica, &["NODES"], &name).await;
    becomes(&mut replica, &["INFO"], "cluster_state:ok").await;
    ask(&mut replica, &["REPLICATE", &name]).await;
    becomes(&mut primary, &["NODES"], "slave").await;

    let topology = RedisTopology::Cluster(vec![Secret::new(&url)]);
    let (ours, _) = connect(&topology).await;
    ours.ping().await.unwrap();
    let now = Clock::default().now();
    ours.publish(&[set(1, grant(now))], now).await.unwrap();
    ask(&mut replica, &["FAILOVER", "TAKEOVER"]).await;
    let noticed = async {
        while ours.ping().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let noticed = tokio::time::timeout(Duration::from_secs(5), noticed).await;
    assert!(noticed.is_ok(), "the failover was not noticed");
    becomes(&mut primary, &["NODES"], "myself,slave").await;
    connect(&topology).await.0.ping().await.unwrap();
}

#[tokio::test]
async fn a_node_of_a_cluster_that_was_restarted_with_old_data_is_noticed() {
    let mut server = start_redis(&["--cluster-enabled", "yes"]).await;
    let url = format!("redis://{}", server.address());
    let mut other = raw(&url).await;
    ask(&mut other, &["ADDSLOTSRANGE", "0", "16383"]).await;
    becomes(&mut other, &["INFO"], "cluster_state:ok").await;
    let topology = RedisTopology::Cluster(vec![Secret::new(&url)]);
    let (ours, _) = connect(&topology).await;
    let now = Clock::default().now();
    ours.publish(&[set(1, grant(now))], now).await.unwrap();
    let _: () = redis::cmd("SAVE").query_async(&mut other).await.unwrap();
    ours.delete(&[token(1)]).await.unwrap();
    ours.ping().await.unwrap();

    server.kill();
    server.restart().await;
    becomes(&mut raw(&url).await, &["INFO"], "cluster_state:ok").await;
    // Time for the driver to connect again, which it does by itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        assert!(ours.ping().await.is_err(), "the restart was not noticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (again, _) = connect(&topology).await;
    again.ping().await.unwrap();
    let old = again.find_many(&[token(1)]).await.unwrap();
    assert_eq!(old, [Some(grant(now))], "it has old data");
}

#[tokio::test]
async fn a_cluster_keeps_tokens_of_all_slots() {
    let server = start_redis(&["--cluster-enabled", "yes"]).await;
    let url = format!("redis://{}", server.address());
    let mut other = raw(&url).await;
    ask(&mut other, &["ADDSLOTSRANGE", "0", "16383"]).await;
    becomes(&mut other, &["INFO"], "cluster_state:ok").await;

    let (ours, _) = connect(&RedisTopology::Cluster(vec![Secret::new(&url)])).await;
    assert!(!ours.tracks_changes());
    let now = Clock::default().now();
    let batch: Vec<Publication> = (0..50).map(|n| set(n, grant(now))).collect();
    ours.publish(&batch, now).await.unwrap();
    let tokens: Vec<_> = (0..60).map(token).collect();
    let found = ours.find_many(&tokens).await.unwrap();
    assert_eq!(found[..50], vec![Some(grant(now)); 50]);
    assert_eq!(found[50..], vec![None; 10]);
    ours.delete(&tokens).await.unwrap();
    let found = ours.find_many(&tokens).await.unwrap();
    assert!(found.iter().all(Option::is_none));
    ours.ping().await.unwrap();
}

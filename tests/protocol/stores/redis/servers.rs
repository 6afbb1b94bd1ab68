//! Other servers than one recent Redis: a cluster, an old one, one that lets us do less.

use std::time::Duration;

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

#[tokio::test]
async fn a_cluster_keeps_tokens_of_all_slots() {
    let server = start_redis(&["--cluster-enabled", "yes"]).await;
    let url = format!("redis://{}", server.address());
    let mut other = raw(&url).await;
    let all = redis::cmd("CLUSTER")
        .arg(&["ADDSLOTSRANGE", "0", "16383"])
        .to_owned();
    let _: () = all.query_async(&mut other).await.unwrap();
    let info = redis::cmd("CLUSTER").arg("INFO").to_owned();
    let ready = async {
        loop {
            let state: String = info.query_async(&mut other).await.unwrap();
            if state.contains("cluster_state:ok") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready)
        .await
        .unwrap();

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

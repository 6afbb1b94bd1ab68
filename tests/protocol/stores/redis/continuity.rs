//! Whether a connection goes on from an earlier one.

use warp_sentinel::stores::redis::endpoints::RedisEndpoint;

use super::*;
use crate::support::server::Server;

fn endpoint(server: &Server) -> RedisEndpoint {
    let url = format!("redis://{}", server.address());
    let topology = RedisTopology::Endpoints(vec![Secret::new(url)]);
    let endpoints = RedisEndpoints::new(&topology).unwrap();
    endpoints.endpoints()[0].clone()
}

/// A connection that ends this one first.
async fn after(endpoint: &RedisEndpoint, earlier: &RedisConnection) -> RedisConnection {
    let link = endpoint.connect(PATIENT, earlier.id(), |_| {});
    link.await.unwrap()
}

#[tokio::test]
async fn a_connection_goes_on_where_the_one_that_it_ended_had_nothing_under_way() {
    let server = start_redis(&[]).await;
    let endpoint = endpoint(&server);
    let first = endpoint.connect(PATIENT, None, |_| {}).await.unwrap();
    let now = Clock::default().now();
    first.publish(&[set(1, grant(now))], now).await.unwrap();
    let earlier = first.continuity().unwrap();
    let unrelated = endpoint.connect(PATIENT, None, |_| {}).await.unwrap();
    assert!(!unrelated.continues(&earlier), "the first may still act");
    let second = after(&endpoint, &first).await;
    assert!(second.continues(&earlier));
    // The first one had gone already.
    assert!(after(&endpoint, &first).await.continues(&earlier));
    // A change that nobody has the answer of; so is one over an ended connection.
    assert!(first.publish(&[set(2, grant(now))], now).await.is_err());
    assert!(!after(&endpoint, &first).await.continues(&earlier));
}

#[tokio::test]
async fn no_connection_goes_on_from_another_process_or_history() {
    let mut server = start_redis(&[]).await;
    let endpoint = endpoint(&server);
    let first = endpoint.connect(PATIENT, None, |_| {}).await.unwrap();
    let earlier = first.continuity().unwrap();
    // A replica for a moment, of whoever.
    let mut other = raw(&format!("redis://{}", server.address())).await;
    for master in [["127.0.0.1", "1"], ["NO", "ONE"]] {
        let follow = redis::cmd("REPLICAOF").arg(&master).to_owned();
        let _: () = follow.query_async(&mut other).await.unwrap();
    }
    let second = after(&endpoint, &first).await;
    assert!(!second.continues(&earlier), "its data may be others");
    let earlier = second.continuity().unwrap();
    server.kill();
    server.restart().await;
    assert!(!after(&endpoint, &second).await.continues(&earlier));
}

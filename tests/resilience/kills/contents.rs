//! What the stores hold in the end.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use crate::support::served::OwnStores;

/// Between two looks at the keys.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest that Redis may have a key of an ended token once all is up: what a server that was
/// killed had just put back ends by itself after five seconds, anything else is taken out sooner.
const STALE_FOR: Duration = Duration::from_secs(6);

/// A connection to Redis itself.
pub(crate) async fn redis(stores: &OwnStores) -> MultiplexedConnection {
    let url = format!("redis://{}/0", stores.redis.address());
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The access tokens that Redis has a key of, plain or companion.
async fn keys(stores: &OwnStores) -> HashSet<String> {
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut redis(stores).await)
        .await
        .unwrap();
    let bare = |key: &String| {
        key.trim_start_matches("sentinel:{")
            .trim_end_matches('}')
            .to_owned()
    };
    keys.iter().map(bare).collect()
}

/// Waits until the tokens have gone from Redis that it has a key of and the truth no record. Tells
/// how long that took.
pub(crate) async fn settled(stores: &OwnStores) -> Duration {
    let began = Instant::now();
    let mut stale = ended(stores).await;
    while !stale.is_empty() {
        let is_over = began.elapsed() > STALE_FOR;
        assert!(!is_over, "keys in Redis without a record: {stale:?}");
        sleep(PAUSE).await;
        // Others end meanwhile.
        let now = ended(stores).await;
        stale.retain(|token| now.contains(token));
    }
    began.elapsed()
}

/// Checks that Redis has no key of these tokens, and the truth no record.
pub(crate) async fn are_gone(stores: &OwnStores, tokens: &[String]) {
    let keys = keys(stores).await;
    for token in tokens {
        assert!(!keys.contains(token), "Redis has a key");
    }
    for record in records(stores).await {
        let token = record.get_str("access_token").unwrap();
        assert!(!tokens.iter().any(|ended| ended == token), "{record}");
    }
}

async fn ended(stores: &OwnStores) -> HashSet<String> {
    let mut keys = keys(stores).await;
    for record in records(stores).await {
        keys.remove(record.get_str("access_token").unwrap());
    }
    keys
}

/// Checks that the records are whole, and one for a session.
pub(crate) async fn check(stores: &OwnStores) {
    check_records(&records(stores).await);
}

fn check_records(records: &[Document]) {
    let mut sessions = HashSet::new();
    for record in records {
        let user = record.get_object_id("user_id").unwrap();
        let client = record.get_str("client_id").unwrap();
        let is_only_one = sessions.insert((user, client));
        assert!(is_only_one, "two records of one session: {record}");
        for name in ["expires", "refresh_expires", "issued_at"] {
            assert!(record.get_datetime(name).is_ok(), "torn: {record}");
        }
        let has_tokens = record.get_str("refresh_token").is_ok();
        assert!(has_tokens && record.get_object_id("family").is_ok());
    }
}

async fn records(stores: &OwnStores) -> Vec<Document> {
    let uri = format!("mongodb://{}", stores.mongo.address());
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    let tokens = client.database("oauth").collection::<Document>("tokens");
    let found = tokens.find(doc! {}).await.unwrap();
    found.try_collect().await.unwrap()
}

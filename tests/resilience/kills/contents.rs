//! What the stores hold in the end.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use crate::support::served::OwnStores;

/// How long a key of a token that ends just then may be in Redis again.
pub(crate) const PUT_BACK_FOR: Duration = Duration::from_millis(100);
/// How long a key whose writer was killed may be in Redis with no record: servers carry out what
/// others could not within about a second.
const ORPHANED_FOR: Duration = Duration::from_secs(3);

/// A connection to Redis itself.
pub(crate) async fn redis(stores: &OwnStores) -> MultiplexedConnection {
    let url = format!("redis://{}/0", stores.redis.address());
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The access tokens that Redis has a key of, plain or companion.
pub(crate) async fn keys(stores: &OwnStores) -> HashSet<String> {
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

/// Checks that the records are whole and one for a session, and that Redis has no key of another
/// token.
pub(crate) async fn check(stores: &OwnStores) {
    let deadline = Instant::now() + ORPHANED_FOR;
    loop {
        let keys = keys(stores).await;
        let records = records(stores).await;
        let live: HashSet<String> = records
            .iter()
            .map(|record| record.get_str("access_token").unwrap().to_owned())
            .collect();
        let orphans: Vec<&String> = keys.difference(&live).collect();
        if orphans.is_empty() {
            return check_records(&records);
        }
        let is_over = Instant::now() > deadline;
        assert!(!is_over, "keys in Redis without a record: {orphans:?}");
        sleep(PUT_BACK_FOR).await;
    }
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

//! Group commit: refreshes that come together are written together, by a majority and journaled
//! in MongoDB, in one durable transaction of the embedded store.

use futures_util::future::join_all;
use mongodb::Client;
use mongodb::bson::{Document, doc};

use crate::support::served::Served;
use crate::support::server::Server;
use crate::support::stores::{start_mongod, start_redis};

/// Refreshes at the same time, each of a pair of its own.
const AT_ONCE: usize = 64;
/// How many of them share a write on average, at least: the first goes alone, and while it is
/// written the others gather.
const SHARED_BY: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_at_once_share_their_writes_in_mongodb() {
    // Has it count writes by the confirmation they ask for.
    let counted = "reportOpWriteConcernCountersInServerStatus=true";
    let mongo = start_mongod(&["--setParameter", counted]).await;
    let redis = start_redis(&[]).await;
    let settings = [
        (
            "SENTINEL_MONGO_URI",
            format!("mongodb://{}", mongo.address()),
        ),
        (
            "SENTINEL_REDIS_URL",
            format!("redis://{}/0", redis.address()),
        ),
    ];
    let (served, pairs) = logged_in(&settings).await;
    let before = Count::of(&mongo).await;
    let groups = refresh_all(&served, pairs).await;
    let after = Count::of(&mongo).await;
    // Each group remembers ends and replaces pairs; the notes of the last go by themselves, as those of
    // a login before may.
    let commands = after.commands - before.commands;
    assert!(
        commands <= 4 * groups,
        "{commands} commands in {groups} groups"
    );
    // Each replacement, and each round of ends, waits for the majority, which is journaled.
    let confirmed = after.by_majority - before.by_majority;
    let writes = u64::try_from(AT_ONCE).unwrap() + groups;
    assert!(
        confirmed >= writes,
        "{confirmed} by a majority, of {writes}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_at_once_share_their_writes_in_the_embedded_store() {
    let settings = [("SENTINEL_STORE", "embedded".to_owned())];
    let (served, pairs) = logged_in(&settings).await;
    refresh_all(&served, pairs).await;
}

/// A server, and the refresh tokens of users of one client.
async fn logged_in(settings: &[(&str, String)]) -> (Served, Vec<(String, String)>) {
    let mut all = vec![("SENTINEL_METRICS_LISTEN", "127.0.0.1:0".to_owned())];
    all.extend(settings.iter().cloned());
    let served = Served::start(&all).await;
    let client_id = served.api.add_client().await;
    let mut pairs = Vec::new();
    for index in 0..AT_ONCE {
        let username = format!("user{index}");
        served.api.add_user(&username).await;
        let answer = served.api.login(&client_id, &username).await.unwrap();
        pairs.push((client_id.clone(), answer.tokens().refresh));
    }
    (served, pairs)
}

/// Refreshes all pairs at once, and tells in how many groups they were written.
async fn refresh_all(served: &Served, pairs: Vec<(String, String)>) -> u64 {
    let (writes, groups) = written(served).await;
    let refreshed = pairs
        .iter()
        .map(|(client, token)| served.api.refresh(client, token));
    for answer in join_all(refreshed).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let (writes_after, groups_after) = written(served).await;
    let (writes, groups) = (writes_after - writes, groups_after - groups);
    crate::figures::tell(format!("{writes} writes in {groups} groups"));
    assert_eq!(writes, u64::try_from(AT_ONCE).unwrap());
    assert!(groups * SHARED_BY <= writes, "{groups} groups");
    groups
}

/// Writes of tokens and groups of them so far, as the server counts them.
async fn written(served: &Served) -> (u64, u64) {
    let log = served.log();
    let line = log
        .lines()
        .find(|line| line.contains("listening for metrics"));
    let (_, address) = line.unwrap().rsplit_once("address=").unwrap();
    let text = reqwest::get(format!("http://{address}/metrics"))
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    (
        number("token_writes_total "),
        number("token_write_groups_total "),
    )
}

/// What a mongod was asked to write.
struct Count {
    /// Commands that write documents.
    commands: u64,
    /// Single writes that a majority has to confirm.
    by_majority: u64,
}

impl Count {
    async fn of(mongo: &Server) -> Self {
        let uri = format!("mongodb://{}", mongo.address());
        let database = Client::with_uri_str(uri).await.unwrap().database("admin");
        let status = database
            .run_command(doc! { "serverStatus": 1 })
            .await
            .unwrap();
        let number = |path: &[&str]| {
            let (last, folders) = path.split_last().unwrap();
            let folder =
                |status: &Document, name: &&str| status.get_document(name).unwrap().clone();
            let found = folders
                .iter()
                .fold(status.clone(), |status, name| folder(&status, name));
            u64::try_from(found.get_i64(last).unwrap()).unwrap()
        };
        // Ends are inserted, pairs are updated.
        let sum = |of: &dyn Fn(&str) -> u64| of("insert") + of("update");
        Self {
            commands: sum(&|kind| number(&["metrics", "commands", kind, "total"])),
            by_majority: sum(&|kind| number(&["opWriteConcernCounters", kind, "wmajority"])),
        }
    }
}

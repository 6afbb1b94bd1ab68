//! `kill -9` of the server that changes how tokens are kept, at any of its steps: its next starts
//! finish that, and no session is lost.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use mongodb::bson::{Document, doc};
use redis::AsyncCommands;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use warp_sentinel::clock::Clock;
use warp_sentinel::crypto::random;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{EndedToken, RecordId, RotatedFrom, TokenRecord, TokenValue};
use warp_sentinel::domain::token_key::{TokenKey, TokenStorage};
use warp_sentinel::settings::StoreSettings;
use warp_sentinel::stores::token_conversion::KeptTokens;
use warp_sentinel::stores::{TokenWrite, Truth, mongo};

use super::contents;
use crate::alone::serial;
use crate::figures::tell;
use crate::random::Random;
use crate::support::app::load;
use crate::support::length::number;
use crate::support::process::{PATIENCE, PAUSE};
use crate::support::served::{Api, OwnStores, Served};

/// Pairs in the database.
const PAIRS: usize = 6_000;
/// Ends of one round.
const TOGETHER: usize = 100;
/// Kills of a short run.
const KILLS: u64 = 8;
/// Until then a start is killed: later than it needs until it begins.
const LATEST_KILL_MILLIS: u64 = 700;
/// Every so many pairs one is presented afterwards.
const PRESENTED: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_storage_that_kills_cut_short_is_finished_and_loses_no_session() {
    let _alone = serial().await;
    let stores = OwnStores::start().await;
    let mut settings = stores.settings();
    let mut served = Served::start(&settings).await;
    served.api.add_user("jonas").await;
    let client = served.api.add_client().await;
    let live = served.api.login(&client, "jonas").await.unwrap().tokens();
    served.kill();
    settings.push(("SENTINEL_MONGO_DBNAME", "oauth".to_owned()));
    let truth = truth(&settings).await;
    let pairs = fill(&truth, &client).await;
    fill_redis(&stores, &pairs).await;
    served.set("SENTINEL_TOKEN_STORAGE", "hashed");
    let mut random = Random::of(number("SENTINEL_TEST_SEED", 11));
    let mut cut_short = 0;
    for _ in 0..number("SENTINEL_TEST_KILLS", KILLS) {
        served.restart();
        sleep(Duration::from_millis(random.below(LATEST_KILL_MILLIS))).await;
        served.kill();
        let kept = truth.conversion.kept_tokens().await.unwrap();
        cut_short += u64::from(kept == KeptTokens::Hashing);
        if kept == KeptTokens::All(TokenStorage::Hashed) {
            break;
        }
    }
    served.restart();
    served.becomes("ready", PATIENCE).await;
    tell(format!(
        "{cut_short} changes of {PAIRS} pairs were cut short"
    ));
    assert!(cut_short > 0);
    assert_eq!(plain(&settings).await, [0, 0]);
    let keys = keys(&stores).await;
    let is_plain = |key: &&String| TokenValue::parse(key).is_some();
    assert_eq!(keys.iter().filter(is_plain).count(), 0);
    let presented = pairs.iter().step_by(PRESENTED).map(TokenValue::expose);
    let presented = presented.chain([live.access.as_str()]);
    let verified = presented.map(|token| verify(&served.api, token));
    // All at once they would be too many.
    let mut verified = stream::iter(verified).buffer_unordered(8);
    while let Some(status) = verified.next().await {
        assert_eq!(status, 204);
    }
    let next = served.api.refresh(&client, &live.refresh).await.unwrap();
    assert_eq!(next.status, 200, "{}", next.body);
}

/// On a busy machine MongoDB may not answer in time: then nothing is known of the token.
async fn verify(api: &Api, token: &str) -> u16 {
    let by = Instant::now() + PATIENCE;
    loop {
        let status = api.verify(token).await.unwrap().status.as_u16();
        if status != 503 || Instant::now() > by {
            return status;
        }
        sleep(PAUSE).await;
    }
}

async fn truth(settings: &[(&'static str, String)]) -> Truth {
    let StoreSettings::MongoDb { mongo, .. } = load(settings).store else {
        panic!("the test runs on MongoDB")
    };
    mongo::open(&mongo, &Clock::default()).await.unwrap()
}

/// Pairs of one user, kept as they are, and as many ends; gives their access tokens.
async fn fill(truth: &Truth, client: &str) -> Vec<TokenValue> {
    let user = truth.users.find_user("jonas").await.unwrap().unwrap();
    let now = Clock::default().now();
    let tokens: Vec<TokenValue> = (0..PAIRS).map(|_| random::token_value()).collect();
    let insert = |token: &TokenValue| TokenWrite::Insert(record(token, client, user.id, now));
    let writes: Vec<TokenWrite> = tokens.iter().map(insert).collect();
    let done = truth.tokens.write(&writes).await.unwrap();
    assert!(done.iter().all(|is_done| *is_done));
    for _ in 0..PAIRS / TOGETHER {
        let round = random::record_id(now);
        let end = |_| record(&random::token_value(), client, user.id, now).end(now, round);
        let ends: Vec<EndedToken> = (0..TOGETHER).map(end).collect();
        truth.tokens.remember_ends(&ends).await.unwrap();
    }
    tokens
}

fn record(
    access_token: &TokenValue,
    client: &str,
    user: RecordId,
    now: OffsetDateTime,
) -> TokenRecord {
    let id = random::record_id(now);
    let later = now + time::Duration::hours(1);
    TokenRecord {
        id,
        access_token: TokenKey::plain(access_token.clone()),
        refresh_token: Some(TokenKey::plain(random::token_value())),
        client_id: ClientId::new(client),
        user_id: Some(user),
        session: Some(id),
        scope: Scope::default(),
        refresh_scope: Scope::default(),
        issued_at: now,
        expires_at: later,
        refresh_expires_at: Some(later),
        family_expires_at: Some(later),
        family: id,
        rotated_from: Some(RotatedFrom {
            refresh_token: TokenKey::plain(random::token_value()),
            at: now,
            sealed: None,
        }),
        replaced: Some(TokenKey::plain(random::token_value())),
    }
}

/// The keys that programs read, as if each pair had been verified.
async fn fill_redis(stores: &OwnStores, pairs: &[TokenValue]) {
    let mut set = redis::pipe();
    for token in pairs {
        set.set(token.expose(), "6b049213eb1acd78e9075d3b").ignore();
    }
    let mut link = contents::redis(stores).await;
    let () = set.query_async(&mut link).await.unwrap();
}

async fn keys(stores: &OwnStores) -> Vec<String> {
    let mut link = contents::redis(stores).await;
    link.keys("*").await.unwrap()
}

/// How many pairs and ends are kept as they are.
async fn plain(settings: &[(&'static str, String)]) -> [u64; 2] {
    let (_, uri) = &settings[0];
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    let database = client.database("oauth");
    let mut counts = [0; 2];
    let places = [
        ("tokens", "access_token"),
        ("ended_tokens", "ends.access_token"),
    ];
    for (count, (collection, field)) in counts.iter_mut().zip(places) {
        let short = doc! { field: { "$regex": "^.{30}$" } };
        let collection = database.collection::<Document>(collection);
        *count = collection.count_documents(short).await.unwrap();
    }
    counts
}

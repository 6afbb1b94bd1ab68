//! `kill -9` of the server that changes how tokens are kept, at any of its steps: its next starts
//! finish that, and no session is lost.

use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use time::OffsetDateTime;
use tokio::time::sleep;
use warp_sentinel::clock::Clock;
use warp_sentinel::crypto::random;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{RecordId, TokenRecord, TokenValue};
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::settings::StoreSettings;
use warp_sentinel::stores::{TokenWrite, Truth, mongo};

use crate::alone::serial;
use crate::figures::tell;
use crate::random::Random;
use crate::support::app::load;
use crate::support::length::number;
use crate::support::process::PATIENCE;
use crate::support::served::{OwnStores, Served};

/// Pairs in the database.
const PAIRS: usize = 6_000;
/// Kills of a short run.
const KILLS: u64 = 8;
/// Until then a start is killed: later than it needs until it begins.
const LATEST_KILL_MILLIS: u64 = 300;
/// Every so many pairs one is presented afterwards.
const PRESENTED: usize = 40;

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
    served.set("SENTINEL_TOKEN_STORAGE", "hashed");
    let mut random = Random::of(number("SENTINEL_TEST_SEED", 11));
    let mut cut_short = 0;
    for _ in 0..number("SENTINEL_TEST_KILLS", KILLS) {
        served.restart();
        sleep(Duration::from_millis(random.below(LATEST_KILL_MILLIS))).await;
        served.kill();
        cut_short += u64::from(truth.conversion.token_storage().await.unwrap().is_none());
    }
    served.restart();
    served.becomes("ready", PATIENCE).await;
    tell(format!(
        "{cut_short} changes of {PAIRS} pairs were cut short"
    ));
    assert!(cut_short > 0);
    assert_eq!(plain(&settings).await, 0);
    let presented = pairs.iter().step_by(PRESENTED).map(TokenValue::expose);
    let presented = presented.chain([live.access.as_str()]);
    let verified = join_all(presented.map(|token| served.api.verify(token))).await;
    for answer in verified {
        assert_eq!(answer.unwrap().status, 204);
    }
    let next = served.api.refresh(&client, &live.refresh).await.unwrap();
    assert_eq!(next.status, 200, "{}", next.body);
}

async fn truth(settings: &[(&'static str, String)]) -> Truth {
    let StoreSettings::MongoDb { mongo, .. } = load(settings).store else {
        panic!("the test runs on MongoDB")
    };
    mongo::open(&mongo, &Clock::default()).await.unwrap()
}

/// Pairs of one user, kept as they are; gives their access tokens.
async fn fill(truth: &Truth, client: &str) -> Vec<TokenValue> {
    let user = truth.users.find_user("jonas").await.unwrap().unwrap();
    let now = Clock::default().now();
    let tokens: Vec<TokenValue> = (0..PAIRS).map(|_| random::token_value()).collect();
    let insert = |token: &TokenValue| TokenWrite::Insert(record(token, client, user.id, now));
    let writes: Vec<TokenWrite> = tokens.iter().map(insert).collect();
    let done = truth.tokens.write(&writes).await.unwrap();
    assert!(done.iter().all(|is_done| *is_done));
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
        rotated_from: None,
        replaced: None,
    }
}

/// How many pairs are kept as they are.
async fn plain(settings: &[(&'static str, String)]) -> u64 {
    let (_, uri) = &settings[0];
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    let tokens = client.database("oauth").collection::<Document>("tokens");
    let short = doc! { "access_token": { "$regex": "^.{30}$" } };
    tokens.count_documents(short).await.unwrap()
}

//! The indexes: what they refuse, and that each query uses one.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::token::TokenRecord;
use warp_sentinel::settings::MongoSettings;
use warp_sentinel::stores::ends::{Ends, SettledEnds, SettledRounds};
use warp_sentinel::stores::error::OpenError;
use warp_sentinel::stores::{TokenWrite, Truth, mongo};

use super::super::fixtures::{client, end, id, new_user, noon, record, replacement, token};
use super::{
    ACCESS, CLIENT, REFRESH, USER, fresh_settings, insert, old_token, old_user, open, raw,
};

#[tokio::test]
async fn a_start_on_duplicates_names_them_and_changes_nothing() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    insert(&database, "users", old_user()).await;
    insert(&database, "users", doc! { "username": "jonas" }).await;
    let message = refusal(&settings).await;
    assert!(message.contains("users.username"), "{message}");
    assert!(message.contains("\"jonas\" (2 documents"), "{message}");
    assert!(message.contains(USER), "{message}");
    let users = database.collection::<Document>("users");
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn duplicate_pairs_are_named_without_their_tokens() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    insert(&database, "tokens", old_token()).await;
    let mut newer = old_token();
    let newest = ObjectId::new();
    newer.insert("_id", newest);
    newer.insert("expires", DateTime::from_millis(1_795_465_999_000));
    insert(&database, "tokens", newer).await;
    let message = refusal(&settings).await;
    for expected in [
        CLIENT,
        USER,
        &newest.to_hex(),
        "newest",
        "tokens.access_token",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(
        !message.contains(ACCESS) && !message.contains(REFRESH),
        "{message}"
    );
}

async fn refusal(settings: &MongoSettings) -> String {
    match mongo::open(settings, &Clock::default()).await {
        Err(OpenError::Duplicates(message)) => message,
        other => panic!("opened, or failed otherwise: {:?}", other.err()),
    }
}

#[tokio::test]
async fn no_query_scans_a_collection() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    let truth = open(&settings).await;
    let jonas = truth.users.insert_user(&new_user("jonas")).await.unwrap();
    truth.clients.insert_client(&client("app")).await.unwrap();
    let pair = record(0, jonas.id);
    truth
        .tokens
        .write(&[TokenWrite::Insert(pair.clone())])
        .await
        .unwrap();
    truth
        .tokens
        .remember_ends(&[end(&pair, noon())])
        .await
        .unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();

    truth.users.find_user("jonas").await.unwrap();
    truth
        .clients
        .find_client(&ClientId::new("app"))
        .await
        .unwrap();
    truth
        .tokens
        .find_grants(&[token(0), token(9)])
        .await
        .unwrap();
    truth
        .tokens
        .find_by_refresh_token(&[token(1), token(9)])
        .await
        .unwrap();
    let session = (ClientId::new("app"), jonas.id);
    truth.tokens.find_by_session(&[session]).await.unwrap();
    truth
        .tokens
        .find_by_family(&[pair.family, id(9)])
        .await
        .unwrap();
    ask_of_ends(&truth, &pair).await;
    truth.tokens.write(&[replacement(&pair, 10)]).await.unwrap();

    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let planned = doc! { "planSummary": { "$exists": true } };
    assert!(profile.count_documents(planned).await.unwrap() >= 18);
    let scan = profile
        .find_one(doc! { "planSummary": { "$regex": "COLLSCAN" } })
        .await
        .unwrap();
    assert!(scan.is_none(), "{scan:?}");
}

async fn ask_of_ends(truth: &Truth, pair: &TokenRecord) {
    truth.tokens.find_ends(&[token(1)]).await.unwrap();
    for which in [Ends::All, Ends::Unpublished] {
        let first = truth.tokens.list_ends(which, noon(), None, 1).await;
        let first = first.unwrap();
        assert_eq!(first.ends.len(), 1);
        let rest = truth
            .tokens
            .list_ends(which, noon(), first.next.as_ref(), 9);
        assert!(rest.await.unwrap().ends.is_empty());
    }
    for remembered in [None, Some(1)] {
        let settled = SettledEnds {
            answered: vec![token(0)],
            published: vec![token(0)],
            remembered,
        };
        let rounds = SettledRounds::from([(pair.id, settled)]);
        truth.tokens.settle_ends(&rounds).await.unwrap();
    }
    truth.tokens.list_live(noon(), None, 9).await.unwrap();
    let live = truth.tokens.list_live(noon(), Some(pair), 9).await;
    assert!(live.unwrap().is_empty());
}

#[tokio::test]
async fn opening_again_finds_its_indexes() {
    let settings = fresh_settings().await;
    open(&settings).await;
    open(&settings).await;
    let tokens = raw(&settings).await.collection::<Document>("tokens");
    let names = tokens.list_index_names().await.unwrap();
    assert!(names.contains(&"purge_at_1".to_owned()), "{names:?}");
    assert_eq!(names.len(), 10);
}

//! `SENTINEL_TOKEN_STORAGE`: with `hashed`, no store has a token that somebody could present; and the
//! change from one way to the other, with tokens that live.

mod embedded;
mod switched;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use mongodb::bson::{RawDocumentBuf, doc};
use redis::AsyncCommands;
use sha2::{Digest, Sha256};
use warp_sentinel::domain::client::ClientType;
use warp_sentinel::domain::client::policy::{Introspection, Sessions};

use crate::support::app::{TestApp, Tokens, USER, answer, spawn_app, spawn_app_with};
use crate::support::stores::stores;

const STORAGE: &str = "SENTINEL_TOKEN_STORAGE";

/// The SHA-256 of a token in hex, as `sha256sum` prints it.
fn hash(token: &str) -> String {
    let digest = Sha256::digest(token);
    digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// All keys of Redis.
async fn keys(app: &TestApp) -> Vec<String> {
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let mut keys: Vec<String> = link.keys("*").await.unwrap();
    keys.sort();
    keys
}

/// Both keys of each of these.
fn keys_of(texts: &[&str]) -> Vec<String> {
    let both = |text: &&str| [(*text).to_owned(), format!("sentinel:{{{text}}}")];
    let mut keys: Vec<String> = texts.iter().flat_map(both).collect();
    keys.sort();
    keys
}

/// All documents of the database, one after the other.
async fn documents(app: &TestApp) -> Vec<u8> {
    let client = mongodb::Client::with_uri_str(stores().await.mongo_uri());
    let database = client.await.unwrap().database(&app.database);
    let mut bytes = Vec::new();
    for name in database.list_collection_names().await.unwrap() {
        let collection = database.collection::<RawDocumentBuf>(&name);
        let mut found = collection.find(doc! {}).await.unwrap();
        while let Some(document) = found.try_next().await.unwrap() {
            bytes.extend_from_slice(document.as_bytes());
        }
    }
    bytes
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Holds that neither store has any of these tokens as it is.
async fn has_no_trace_of(app: &TestApp, pairs: &[Tokens]) {
    let (documents, keys) = (documents(app).await, keys(app).await.concat());
    for token in pairs.iter().flat_map(|pair| [&pair.access, &pair.refresh]) {
        assert!(!holds(&documents, token), "MongoDB has a token");
        assert!(!keys.contains(token), "Redis has a token");
    }
}

#[tokio::test]
async fn no_store_has_a_token_that_could_be_presented() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    let third = app.login().await;
    assert_eq!(app.verify(&third.access).await.status, 204);
    has_no_trace_of(&app, &[first.clone(), second.clone(), third.clone()]).await;
    assert_eq!(keys(&app).await, keys_of(&[&hash(&third.access)]));
    // What is stolen from a store opens nothing.
    let stolen = hash(&third.access);
    assert_eq!(app.verify(&stolen).await.status, 401);
    let refused = app.refresh(&hash(&third.refresh)).await;
    assert_eq!(refused.error(), "invalid_grant");
    assert_eq!(app.revoke(&stolen).await.status, 204);
    assert_eq!(app.verify(&third.access).await.status, 204);
    for ended in [&first, &second] {
        assert_eq!(app.verify(&ended.access).await.status, 401);
    }
}

/// Redis keeps the user under the hash: a program that reads it may ask for that.
#[tokio::test]
async fn redis_has_the_user_under_the_hash() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let tokens = app.login().await;
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let user: String = link.get(hash(&tokens.access)).await.unwrap();
    let found = app.truth.users.find_user(USER.0).await.unwrap().unwrap();
    assert_eq!(user, found.id.to_string());
    assert_eq!(app.revoke(&tokens.access).await.status, 204);
    assert_eq!(keys(&app).await, Vec::<String>::new());
}

/// The whole life of tokens, each step asked of the other server.
#[tokio::test]
async fn hashed_tokens_live_and_end_as_others() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let sibling = app.sibling_with(&[(STORAGE, "hashed")]).await;
    let (id, secret) = app
        .add_client_with(ClientType::Confidential, |client| {
            client.policy.introspection = Introspection::Any;
            client.policy.sessions = Sessions::Many;
        })
        .await;
    let introspect = async |token: &str| {
        let form = [("token", token)];
        let asked = sibling.post_as("/oauth/introspect", (&id, &secret), &form);
        answer(asked).await.json()["active"].as_bool().unwrap()
    };
    let first = app.login().await;
    assert_eq!(sibling.verify(&first.access).await.status, 204);
    assert!(introspect(&first.access).await);
    let second = sibling.refresh(&first.refresh).await.tokens();
    // The answer was lost: the same pair again, from either server, and only for who spent it.
    for server in [&app, &sibling] {
        let again = server.refresh(&first.refresh).await.tokens();
        assert_eq!(
            (&again.access, &again.refresh),
            (&second.access, &second.refresh)
        );
    }
    assert!(!introspect(&first.access).await);
    assert_eq!(app.verify(&second.access).await.status, 204);
    // Reuse ends the family.
    let third = app.refresh(&second.refresh).await.tokens();
    let reused = sibling.refresh(&first.refresh).await;
    assert_eq!(reused.error(), "invalid_grant");
    assert_eq!(app.refresh(&third.refresh).await.error(), "invalid_grant");
    assert!(!introspect(&third.access).await);
    assert_eq!(keys(&app).await, Vec::<String>::new());
}

/// One pair takes the place of the other, whoever else logs in first.
#[tokio::test]
async fn of_many_logins_at_once_one_lives() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let mut all = Vec::new();
    for _ in 0..6 {
        let client = app.add_client(ClientType::Public).await.0;
        let form = [
            ("grant_type", "password"),
            ("client_id", client.as_str()),
            ("username", USER.0),
            ("password", USER.1),
        ];
        let answers = join_all((0..40).map(|_| app.token(&form))).await;
        let mut live = Vec::new();
        for answer in answers {
            let token = answer.tokens().access;
            if app.verify(&token).await.status == 204 {
                live.push(hash(&token));
            }
        }
        assert_eq!(live.len(), 1);
        all.extend(live);
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(keys(&app).await, keys_of(&all));
}

/// A token of the size of a key is none, whatever the storage.
#[tokio::test]
async fn the_form_that_is_kept_is_refused_by_either_storage() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert_eq!(app.verify(&hash(&tokens.access)).await.status, 401);
    assert_eq!(keys(&app).await, keys_of(&[&tokens.access]));
    let document = documents(&app).await;
    assert!(holds(&document, &tokens.access) && holds(&document, &tokens.refresh));
}

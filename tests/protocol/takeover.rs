//! The storage contract with Flask-Sentinel 0.0.7 through the whole server, both ways: what it
//! left behind goes on, and what we write it can read.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::{BinarySubtype, ElementType};
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::{Client, Database};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use time::Duration;
use warp_sentinel::Sentinel;
use warp_sentinel::clock::Clock;

use crate::support::app::{Answer, TestApp, load, spawn_app, spawn_app_with};
use crate::support::stores::stores;

const CLIENT: &str = "shFOe5rR3w9KkadUAXgmi0mq7UhYPn6FKLANwQsg";
const ACCESS: &str = "2nbsIgCZTWrqAYhW61htarwhBS7LF9";
const REFRESH: &str = "ja5sQhTd0ebRA7Lkmps7s74eHlvhI3";
const NEXT_REFRESH: &str = "Qm3sQhTd0ebRA7Lkmps7s74eHlvhI3";
const REPLACED: &str = "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W";

/// The databases of a Flask-Sentinel that has just been stopped.
struct Old {
    database: Database,
    redis: MultiplexedConnection,
    redis_url: String,
}

async fn old() -> Old {
    let stores = stores().await;
    let client = Client::with_uri_str(stores.mongo_uri()).await.unwrap();
    let redis_url = stores.redis_url(stores.fresh_redis_db());
    let redis = redis::Client::open(redis_url.as_str()).unwrap();
    Old {
        database: client.database(&stores.fresh_database()),
        redis: redis.get_multiplexed_async_connection().await.unwrap(),
        redis_url,
    }
}

impl Old {
    async fn insert(&self, collection: &str, document: Document) {
        let collection = self.database.collection::<Document>(collection);
        collection.insert_one(document).await.unwrap();
    }

    async fn all(&self, collection: &str) -> Vec<Document> {
        use futures_util::TryStreamExt;
        let collection = self.database.collection::<Document>(collection);
        let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
        found.await.unwrap().try_collect().await.unwrap()
    }

    /// Our server in its place.
    async fn taken_over(&self) -> TestApp {
        let settings = [
            ("SENTINEL_MONGO_DBNAME", self.database.name()),
            ("SENTINEL_REDIS_URL", &self.redis_url),
        ];
        spawn_app_with(&settings).await
    }

    /// Why our server does not start.
    async fn refusal(&self) -> (String, u8) {
        let settings = load(&[
            ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
            ("SENTINEL_MONGO_DBNAME", self.database.name().to_owned()),
            ("SENTINEL_REDIS_URL", self.redis_url.clone()),
            ("SENTINEL_TLS", "off".to_owned()),
        ]);
        match Sentinel::start(settings).await {
            Ok(_) => panic!("it started"),
            Err(error) => (error.to_string(), error.exit_code()),
        }
    }
}

fn user_id() -> ObjectId {
    ObjectId::parse_str("6b049213eb1acd78e9075d3b").unwrap()
}

fn hash(text: &str, prefix: &str) -> String {
    let hash = bcrypt::hash(text, 4).unwrap();
    hash.replacen("$2b$", prefix, 1)
}

fn binary(text: &str) -> Bson {
    let bytes = text.as_bytes().to_vec();
    let subtype = BinarySubtype::Generic;
    Bson::Binary(Binary { subtype, bytes })
}

fn user(username: &str, hashpw: Bson) -> Document {
    doc! { "_id": ObjectId::new(), "hashpw": hashpw, "username": username }
}

fn client() -> Document {
    doc! {
        "_id": ObjectId::new(),
        "allowed_grant_types": ["password", "refresh_token"],
        "client_id": CLIENT,
        "client_type": "public",
        "default_redirect_uri": "",
        "default_scopes": [],
    }
}

/// A user, a client and a token that has an hour left, in MongoDB and in Redis.
async fn live_session() -> Old {
    let mut old = old().await;
    let mut anna = user("anna", binary(&hash("pass", "$2b$")));
    anna.insert("_id", user_id());
    old.insert("users", anna).await;
    old.insert("clients", client()).await;
    let expires = Clock::default().now() + Duration::hours(1);
    let millis = expires.unix_timestamp_nanos() / 1_000_000;
    let token = doc! {
        "_id": ObjectId::new(),
        "access_token": ACCESS,
        "client_id": CLIENT,
        "expires": DateTime::from_millis(i64::try_from(millis).unwrap()),
        "refresh_token": REFRESH,
        "scopes": [""],
        "token_type": "Bearer",
        "user": Bson::Null,
        "user_id": user_id(),
    };
    old.insert("tokens", token).await;
    for token in [ACCESS, REPLACED] {
        let set = old.redis.set_ex(token, user_id().to_hex(), 3_600);
        let _: () = set.await.unwrap();
    }
    old
}

async fn login(app: &TestApp, client_id: &str, username: &str, password: &str) -> Answer {
    let (client_id, username) = (("client_id", client_id), ("username", username));
    let password = ("password", password);
    app.token(&[("grant_type", "password"), client_id, username, password])
        .await
}

async fn refresh(app: &TestApp, refresh_token: &str) -> Answer {
    let (client_id, token) = (("client_id", CLIENT), ("refresh_token", refresh_token));
    app.token(&[("grant_type", "refresh_token"), client_id, token])
        .await
}

#[tokio::test]
async fn an_old_session_goes_on() {
    let mut old = live_session().await;
    let app = old.taken_over().await;
    let verified = app.verify(ACCESS).await;
    assert_eq!(verified.status, 204);
    assert_eq!(verified.header("x-user-id"), user_id().to_hex());
    assert_eq!(verified.header("x-username"), "anna");
    assert_eq!(verified.header("x-client-id"), CLIENT);
    assert_eq!(verified.header("x-scope"), "");

    let next = refresh(&app, REFRESH).await.tokens();
    assert_eq!(app.verify(&next.access).await.status, 204);
    assert_eq!(app.verify(ACCESS).await.status, 401);
    let left: Option<String> = old.redis.get(ACCESS).await.unwrap();
    assert_eq!(left, None);

    let answer = login(&app, CLIENT, "anna", "pass").await;
    assert_eq!(answer.tokens().scope, "");
    assert_eq!(app.verify(&next.access).await.status, 401);
}

/// RFC 9110 §5.5: blanks around a value are no part of it.
#[tokio::test]
async fn names_and_identifiers_of_any_text_are_told_whole() {
    let old = old().await;
    let of_any_text = " a\u{e9}%\r\n ";
    let mut client = client();
    client.insert("client_id", of_any_text);
    old.insert("clients", client).await;
    let rows = [
        (" ", "%20"),
        (" anna", "%20anna"),
        ("anna  ", "anna%20%20"),
        ("anna b", "anna b"),
        (of_any_text, "%20a%C3%A9%25%0D%0A%20"),
    ];
    let hash = binary(&hash("pass", "$2b$"));
    for (name, _) in rows {
        old.insert("users", user(name, hash.clone())).await;
    }
    let app = old.taken_over().await;
    for (name, told) in rows {
        let tokens = login(&app, of_any_text, name, "pass").await.tokens();
        let verified = app.verify(&tokens.access).await;
        assert_eq!(verified.status, 204, "{name:?}");
        assert_eq!(verified.header("x-username"), told, "{name:?}");
        assert_eq!(verified.header("x-client-id"), rows[4].1);
    }
}

#[tokio::test]
async fn an_old_token_that_was_replaced_is_refused_though_its_redis_key_lives() {
    let mut old = live_session().await;
    let app = old.taken_over().await;
    let left: Option<String> = old.redis.get(REPLACED).await.unwrap();
    assert_eq!(left, Some(user_id().to_hex()));
    assert_eq!(app.verify(REPLACED).await.status, 401);
    assert_eq!(app.endpoint(REPLACED).await.status, 401);
}

#[tokio::test]
async fn old_users_of_every_kind_log_in() {
    let old = old().await;
    old.insert("clients", client()).await;
    let mut rows = Vec::new();
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let hash = hash("pass", prefix);
        rows.push((format!("binary {prefix}"), binary(&hash)));
        rows.push((format!("text {prefix}"), Bson::String(hash)));
    }
    for (name, hashpw) in &rows {
        old.insert("users", user(name, hashpw.clone())).await;
    }
    let app = old.taken_over().await;
    for (name, _) in &rows {
        let good = login(&app, CLIENT, name, "pass").await;
        assert_eq!(good.status, 200, "{name}: {}", good.body);
        let bad = login(&app, CLIENT, name, "Pass").await;
        assert_eq!(bad.error(), "invalid_grant", "{name}");
    }
}

#[tokio::test]
async fn old_clients_of_every_kind_may_log_in_and_refresh() {
    let old = old().await;
    old.insert("users", user("anna", binary(&hash("pass", "$2b$"))))
        .await;
    let mut of_006 = client();
    of_006.insert("client_id", "of 0.0.6");
    of_006.insert("allowed_grant_types", vec!["password"]);
    let bare = doc! { "client_id": "bare", "client_type": "public" };
    let confidential = doc! { "client_id": "confidential", "client_type": "confidential" };
    for document in [client(), of_006, bare, confidential] {
        old.insert("clients", document).await;
    }
    let app = old.taken_over().await;
    for client_id in [CLIENT, "of 0.0.6", "bare", "confidential"] {
        let answer = login(&app, client_id, "anna", "pass").await;
        assert_eq!(answer.status, 200, "{client_id}: {}", answer.body);
        let token = answer.tokens().refresh;
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", token.as_str()),
        ];
        let answer = app.token(&form).await;
        assert_eq!(answer.status, 200, "{client_id}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_token_of_ours_is_read_as_flask_sentinel_reads_it() {
    let mut old = live_session().await;
    let app = old.taken_over().await;
    let tokens = login(&app, CLIENT, "anna", "pass").await.tokens();
    let collection = old.database.collection::<Document>("tokens");
    let query = doc! { "access_token": &tokens.access };
    let found = collection.find_one(query).await.unwrap().unwrap();
    let types = [
        ("_id", ElementType::ObjectId),
        ("access_token", ElementType::String),
        ("refresh_token", ElementType::String),
        ("client_id", ElementType::String),
        ("expires", ElementType::DateTime),
        ("scopes", ElementType::Array),
        ("token_type", ElementType::String),
        ("user", ElementType::Null),
        ("user_id", ElementType::ObjectId),
    ];
    for (field, expected) in types {
        let found = found.get(field).map(Bson::element_type);
        assert_eq!(found, Some(expected), "{field}");
    }
    assert_eq!(found.get_str("refresh_token").unwrap(), tokens.refresh);
    assert_eq!(found.get_str("client_id").unwrap(), CLIENT);
    assert_eq!(found.get_str("token_type").unwrap(), "Bearer");
    assert_eq!(found.get_array("scopes").unwrap(), &[Bson::from("")]);
    assert_eq!(found.get_object_id("user_id").unwrap(), user_id());
    // One document for each client and user, as it expects when it replaces it.
    assert_eq!(old.all("tokens").await.len(), 1);

    let value: Option<String> = old.redis.get(&tokens.access).await.unwrap();
    assert_eq!(value, Some(user_id().to_hex()));
    let ttl: i64 = old.redis.ttl(&tokens.access).await.unwrap();
    assert!((3_590..=3_600).contains(&ttl), "{ttl}");
    let kind: String = redis::cmd("TYPE")
        .arg(&tokens.access)
        .query_async(&mut old.redis)
        .await
        .unwrap();
    assert_eq!(kind, "string");
}

#[tokio::test]
async fn a_user_of_ours_is_read_as_flask_sentinel_reads_it() {
    let app = spawn_app().await;
    app.add_user("berta", "pass word 2").await;
    let client = Client::with_uri_str(stores().await.mongo_uri())
        .await
        .unwrap();
    let users = client
        .database(&app.database)
        .collection::<Document>("users");
    let query = doc! { "username": "berta" };
    let found = users.find_one(query).await.unwrap().unwrap();
    let stored = match found.get("hashpw") {
        Some(Bson::Binary(hashpw)) if hashpw.subtype == BinarySubtype::Generic => &hashpw.bytes,
        other => panic!("hashpw is {other:?}"),
    };
    // It computes the hash of the password with the salt of the stored one, and finds by both.
    let text = str::from_utf8(stored).unwrap();
    assert!(text.starts_with("$2b$") && text.len() == 60, "{text}");
    assert!(bcrypt::verify("pass word 2", text).unwrap());
    let query = doc! { "username": "berta", "hashpw": binary(text) };
    assert_eq!(users.count_documents(query).await.unwrap(), 1);
}

#[tokio::test]
async fn a_refresh_and_a_replacement_by_flask_sentinel_beside_us_are_believed() {
    let old = live_session().await;
    let app = old.taken_over().await;
    let ours = login(&app, CLIENT, "anna", "pass").await.tokens();
    // Its password grant: the documents of the pair go, a new one of its own comes.
    let tokens = old.database.collection::<Document>("tokens");
    let pair = doc! { "client_id": CLIENT, "user_id": user_id() };
    let mut next = tokens.find_one(pair.clone()).await.unwrap().unwrap();
    for field in [
        "schema",
        "family",
        "issued_at",
        "refresh_scopes",
        "refresh_expires",
        "purge_at",
    ] {
        next.remove(field);
    }
    next.insert("_id", ObjectId::new());
    next.insert("access_token", REPLACED);
    next.insert("refresh_token", NEXT_REFRESH);
    tokens.delete_many(pair).await.unwrap();
    tokens.insert_one(next).await.unwrap();

    assert_eq!(app.verify(REPLACED).await.status, 204);
    assert_eq!(refresh(&app, &ours.refresh).await.error(), "invalid_grant");
    let renewed = refresh(&app, NEXT_REFRESH).await.tokens();
    assert_eq!(app.verify(&renewed.access).await.status, 204);
}

#[tokio::test]
async fn duplicates_in_an_old_database_are_named_and_left_as_they_are() {
    let rows = [
        (
            "users",
            "username",
            user("anna", binary(&hash("pass", "$2b$"))),
            "anna",
        ),
        ("clients", "client_id", client(), CLIENT),
    ];
    for (collection, field, document, name) in rows {
        let old = old().await;
        let mut second = document.clone();
        second.insert("_id", ObjectId::new());
        old.insert(collection, document).await;
        old.insert(collection, second).await;
        let before = old.all(collection).await;
        let (text, exit_code) = old.refusal().await;
        assert_eq!(exit_code, 78, "{text}");
        assert!(text.contains(&format!("{collection}.{field}")), "{text}");
        assert!(text.contains(name), "{text}");
        assert_eq!(old.all(collection).await, before);
    }
}

//! The MongoDB side of the storage contract: documents exactly as Flask-Sentinel 0.0.7 keeps them.

mod documents;
mod ends;
mod indexes;
mod secrets;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::{Client, Database};
use warp_sentinel::clock::Clock;
use warp_sentinel::settings::MongoSettings;
use warp_sentinel::settings::secret::Secret;
use warp_sentinel::stores::{Truth, mongo};

use crate::support::stores::stores;

const HASH: &str = "$2b$12$/sbqlZ5/vN16apbzXVIw9Oet/NtzJUwT47UJmAoVU4dT4aExDkvEO";
const USER: &str = "6b049213eb1acd78e9075d3b";
const CLIENT: &str = "shFOe5rR3w9KkadUAXgmi0mq7UhYPn6FKLANwQsg";
const ACCESS: &str = "2nbsIgCZTWrqAYhW61htarwhBS7LF9";
const REFRESH: &str = "ja5sQhTd0ebRA7Lkmps7s74eHlvhI3";

/// Settings with a database that no other test has.
pub(super) async fn fresh_settings() -> MongoSettings {
    let stores = stores().await;
    MongoSettings {
        uri: Secret::new(stores.mongo_uri()),
        database: stores.fresh_database(),
        connect_timeout: None,
        server_selection_timeout: None,
    }
}

/// The database as another program sees it.
async fn raw(settings: &MongoSettings) -> Database {
    let client = Client::with_uri_str(settings.uri.expose()).await.unwrap();
    client.database(&settings.database)
}

async fn open(settings: &MongoSettings) -> Truth {
    mongo::open(settings, &Clock::default()).await.unwrap()
}

fn object_id(text: &str) -> ObjectId {
    ObjectId::parse_str(text).unwrap()
}

fn old_user() -> Document {
    let hashpw = Binary {
        subtype: BinarySubtype::Generic,
        bytes: HASH.as_bytes().to_vec(),
    };
    doc! { "_id": object_id(USER), "hashpw": hashpw, "username": "jonas" }
}

fn old_client() -> Document {
    doc! {
        "_id": object_id("6b049213eb1acd78e9075d3c"),
        "allowed_grant_types": ["password", "refresh_token"],
        "client_id": CLIENT,
        "client_type": "public",
        "default_redirect_uri": "",
        "default_scopes": [],
    }
}

fn old_token() -> Document {
    doc! {
        "_id": object_id("6b0492317e71feb5ac22f6b4"),
        "access_token": ACCESS,
        "client_id": CLIENT,
        "expires": DateTime::from_millis(1_795_465_281_474),
        "refresh_token": REFRESH,
        "scopes": [""],
        "token_type": "Bearer",
        "user": Bson::Null,
        "user_id": object_id(USER),
    }
}

async fn insert(database: &Database, collection: &str, document: Document) {
    let collection = database.collection::<Document>(collection);
    collection.insert_one(document).await.unwrap();
}

async fn only(database: &Database, collection: &str) -> Document {
    let collection = database.collection::<Document>(collection);
    collection.find_one(doc! {}).await.unwrap().unwrap()
}

//! Filling a database with documents as the server writes them: one of each kind is read from a
//! database in which it did, and written again under other names.

use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Client, Collection, Database};
use warp_sentinel::clock::Clock;

use crate::Outcome;
use crate::client::Connection;
use crate::process::Process;
use crate::published;
use crate::stores::Stores;

/// Users per token: each has a pair of each of so many clients.
pub(super) const CLIENTS: usize = 10;
/// Tokens that Redis has, too. They end last, so that a server which connects to Redis finds the
/// latest there, and need not put back the others while we measure.
pub(super) const LATEST: usize = 600;
/// Documents in one round trip.
const BATCH: usize = 10_000;
/// For how long the first of them is good.
const GOOD_FOR: Duration = Duration::from_hours(24);

/// One document of each kind.
pub(super) struct Templates {
    user: Document,
    client: Document,
    token: Document,
}

/// What is in a database.
pub(super) struct Filling {
    /// Tells tokens of one database from those of the other.
    seed: u64,
    /// The tokens.
    pub(super) tokens: usize,
    /// The users.
    pub(super) users: usize,
}

impl Templates {
    /// Has a server write them.
    pub(super) async fn of(process: &Process, stores: &Stores) -> Outcome<Self> {
        Connection::open(process)
            .await?
            .grant(&process.client_id)
            .await?;
        let database = database(stores).await?;
        Ok(Self {
            user: one(&database, "users").await?,
            client: one(&database, "clients").await?,
            token: one(&database, "tokens").await?,
        })
    }
}

async fn one(database: &Database, collection: &str) -> Outcome<Document> {
    let collection = database.collection::<Document>(collection);
    let found = collection.find_one(doc! {}).await?;
    Ok(found.ok_or("a server wrote nothing")?)
}

/// Fills a database that no server runs on with so many pairs, and those that Redis has.
pub(super) async fn fill(
    stores: &Stores,
    templates: &Templates,
    tokens: usize,
) -> Outcome<Filling> {
    let database = database(stores).await?;
    let filling = Filling {
        seed: ObjectId::new()
            .bytes()
            .iter()
            .fold(0, |seed, byte| seed * 31 + u64::from(*byte)),
        tokens: tokens + LATEST,
        users: (tokens + LATEST).div_ceil(CLIENTS),
    };
    let clients = (0..CLIENTS).map(|index| renamed(&templates.client, "client_id", client(index)));
    insert(&database.collection("clients"), clients).await?;
    let users = (0..filling.users).map(|index| {
        let mut user = renamed(&templates.user, "username", username(index));
        user.insert("_id", user_id(index));
        user
    });
    insert(&database.collection("users"), users).await?;
    let start = DateTime::from_system_time(Clock::default().now().into());
    let pairs = (0..filling.tokens).map(|index| filling.pair(&templates.token, index, start));
    insert(&database.collection("tokens"), pairs).await?;
    // It builds the indexes, as the start of a server would.
    let latest: Vec<String> = (0..LATEST)
        .map(|index| filling.access_token(index))
        .collect();
    published::write(stores, &latest).await?;
    // Written out before anything is measured.
    let sync = doc! { "fsync": 1 };
    database
        .client()
        .database("admin")
        .run_command(sync)
        .await?;
    Ok(filling)
}

impl Filling {
    /// The access token of a pair.
    pub(super) fn access_token(&self, index: usize) -> String {
        self.text(index, 1)
    }

    fn text(&self, index: usize, kind: u64) -> String {
        let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut state = self.seed ^ (index as u64) << 8 ^ kind;
        (0..30)
            .map(|_| {
                state = mixed(state);
                char::from(letters[usize::try_from(state % 62).unwrap_or(0)])
            })
            .collect()
    }

    fn pair(&self, template: &Document, index: usize, start: DateTime) -> Document {
        let mut pair = template.clone();
        let id = ObjectId::new();
        pair.insert("_id", id);
        pair.insert("family", id);
        pair.insert("access_token", self.text(index, 1));
        pair.insert("refresh_token", self.text(index, 2));
        pair.insert("client_id", client(index % CLIENTS));
        pair.insert("user_id", user_id(index / CLIENTS));
        pair.insert("expires", expires(index, start));
        pair
    }
}

/// The n-th user's login name; the password is that of the first.
pub(super) fn username(index: usize) -> String {
    format!("user{index:08}")
}

/// The n-th client.
pub(super) fn client(index: usize) -> String {
    format!("client{index:034}")
}

async fn database(stores: &Stores) -> Outcome<Database> {
    let client = Client::with_uri_str(&stores.mongo_uri).await?;
    Ok(client.database(&stores.database))
}

async fn insert(
    collection: &Collection<Document>,
    documents: impl Iterator<Item = Document>,
) -> Outcome<()> {
    let mut documents = documents.peekable();
    while documents.peek().is_some() {
        let batch: Vec<Document> = documents.by_ref().take(BATCH).collect();
        collection.insert_many(batch).ordered(false).await?;
    }
    Ok(())
}

fn renamed(template: &Document, field: &str, name: String) -> Document {
    let mut document = template.clone();
    document.insert("_id", ObjectId::new());
    document.insert(field, name);
    document
}

fn user_id(index: usize) -> ObjectId {
    let mut bytes = [0x6b; 12];
    for (own, byte) in bytes.iter_mut().skip(4).zip((index as u64).to_be_bytes()) {
        *own = byte;
    }
    ObjectId::from_bytes(bytes)
}

/// The first ends last, each a millisecond after the next.
fn expires(index: usize, start: DateTime) -> DateTime {
    let after = i64::try_from(GOOD_FOR.as_millis()).unwrap_or(i64::MAX);
    let earlier = i64::try_from(index).unwrap_or(i64::MAX);
    DateTime::from_millis(start.timestamp_millis() + after - earlier)
}

/// `SplitMix64`: neighbors have nothing in common, as with real tokens.
fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

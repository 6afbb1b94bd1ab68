//! The floor of refreshes: durable conditional replacements of token documents, as a program makes
//! them that does nothing else. What arrives while one `update` command is in the air goes as the
//! next one.
//!
//! An order is a line with the number of callers and milliseconds; its answer tells how many
//! writes there were in a second, and the median of how many microseconds one took.

use std::io::BufRead;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, yield_now};
use warp_sentinel::crypto::random;

use super::Outcome;
use super::stores::Stores;
use super::tally::Tally;

/// Most writes of one command, as the server has it.
const MOST_WRITES: usize = 1_000;
const ACCESS_LIFETIME_MILLIS: i64 = 3_600_000;

/// An update, and who waits for it.
type Write = (Document, oneshot::Sender<()>);

/// Replaces the documents of `tokens`, one for each caller, as often as it is told to.
///
/// # Errors
/// What the driver says, or a write that did not find its document.
pub(crate) fn run(stores: &Stores) -> Outcome<()> {
    let runtime = Runtime::new()?;
    let (database, mut documents) = runtime.block_on(find(stores))?;
    // It listens on nothing.
    println!("127.0.0.1:0 ");
    for order in std::io::stdin().lock().lines() {
        let order = order?;
        let (callers, millis) = order.split_once(' ').ok_or("an order without a length")?;
        let callers = documents.split_off(documents.len().saturating_sub(callers.parse()?));
        let length = Duration::from_millis(millis.parse()?);
        let (tally, callers) = runtime.block_on(write(&database, callers, length))?;
        documents.extend(callers);
        println!("{}", tally.pace());
    }
    Ok(())
}

async fn find(stores: &Stores) -> Outcome<(Database, Vec<Document>)> {
    let client = mongodb::Client::with_uri_str(&stores.mongo_uri).await?;
    let database = client.database(&stores.database);
    let tokens = database.collection::<Document>("tokens");
    let documents = tokens.find(doc! {}).await?.try_collect().await?;
    Ok((database, documents))
}

async fn write(
    database: &Database,
    documents: Vec<Document>,
    length: Duration,
) -> Outcome<(Tally, Vec<Document>)> {
    let (writes, inbox) = mpsc::channel(documents.len());
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for document in documents {
        callers.spawn(replace_until(start + length, document, writes.clone()));
    }
    drop(writes);
    write_groups(database, inbox).await?;
    let mut tally = Tally::new(start, length);
    let mut documents = Vec::new();
    while let Some(done) = callers.join_next().await {
        let (document, ends) = done??;
        tally.add(&ends);
        documents.push(document);
    }
    Ok((tally, documents))
}

async fn write_groups(database: &Database, mut inbox: mpsc::Receiver<Write>) -> Outcome<()> {
    let mut group = Vec::new();
    while inbox.recv_many(&mut group, MOST_WRITES).await > 0 {
        let (updates, waiting): (Vec<Document>, Vec<_>) = group.drain(..).unzip();
        let command = doc! {
            "update": "tokens",
            "updates": updates,
            "ordered": false,
            "writeConcern": { "w": "majority", "j": true },
        };
        let reply = database.run_command(command).await?;
        let is_whole = reply.get_i32("n").ok() == i32::try_from(waiting.len()).ok();
        if !is_whole || reply.contains_key("writeConcernError") {
            return Err(format!("not all of a group was written: {reply}").into());
        }
        for caller in waiting {
            // Who has gone told of an error.
            let _ = caller.send(());
        }
        // Those who were answered may have their next write in the next group.
        yield_now().await;
    }
    Ok(())
}

/// One caller: gives the instants at which a write began and was done.
async fn replace_until(
    deadline: Instant,
    mut document: Document,
    writes: mpsc::Sender<Write>,
) -> Outcome<(Document, Vec<(Instant, Instant)>)> {
    let mut ends = Vec::new();
    let mut now = Instant::now();
    while now < deadline {
        let next = successor(&document)?;
        let update = doc! {
            "q": {
                "_id": document.get_object_id("_id")?,
                "access_token": document.get_str("access_token")?,
                "refresh_token": document.get_str("refresh_token")?,
            },
            "u": &next,
        };
        let (done, is_done) = oneshot::channel();
        writes.send((update, done)).await?;
        is_done.await?;
        document = next;
        let end = Instant::now();
        ends.push((now, end));
        now = end;
    }
    Ok((document, ends))
}

/// Has the fields, and changes the indexes, that a refresh has and changes.
fn successor(document: &Document) -> Outcome<Document> {
    let now = DateTime::now();
    let mut next = document.clone();
    let spent = document.get_str("refresh_token")?;
    let expires = now.timestamp_millis() + ACCESS_LIFETIME_MILLIS;
    next.insert("replaced_access_token", document.get_str("access_token")?);
    next.insert("rotated_from", doc! { "refresh_token": spent, "at": now });
    next.insert("access_token", random::token_value().expose());
    next.insert("refresh_token", random::token_value().expose());
    next.insert("issued_at", now);
    next.insert("expires", DateTime::from_millis(expires));
    Ok(next)
}

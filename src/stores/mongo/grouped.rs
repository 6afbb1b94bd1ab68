//! Many writes to one collection in one round trip.
//!
//! The commands are spelled out because `Client::bulk_write` needs MongoDB 8, and because one
//! journal flush for hundreds of tokens is what makes them cheap.

use std::collections::{HashMap, HashSet};

use mongodb::bson::{Bson, Document, doc};
use thiserror::Error;

use crate::stores::error::StoreError;

use super::documents::array;
use super::{DUPLICATE_KEY, MongoStore, STORE, within_deadline};

/// How many writes one command carries, well below the server's 100,000 and 48 MB.
pub(super) const MOST_WRITES: usize = 1_000;

/// What the server says of a grouped write.
pub(super) struct GroupedReply {
    /// Documents that matched, were inserted or were deleted.
    pub(super) count: usize,
    /// Positions of the updates that inserted a document.
    pub(super) inserted: HashSet<usize>,
    /// Positions of the updates that a unique index refused.
    pub(super) refused: HashSet<usize>,
}

/// The server refused a write for a reason other than a unique index.
#[derive(Debug, Error)]
#[error("the server refused a write with code {code}")]
struct WriteRefused {
    code: i32,
}

impl MongoStore {
    /// Does up to [`MOST_WRITES`] updates, each whatever becomes of the others.
    pub(super) async fn update_grouped(
        &self,
        collection: &'static str,
        updates: Vec<Document>,
    ) -> Result<GroupedReply, StoreError> {
        let command = doc! { "update": collection, "updates": updates };
        self.run_grouped(command).await
    }

    /// Does up to [`MOST_WRITES`] deletes, each whatever becomes of the others.
    pub(super) async fn delete_grouped(
        &self,
        collection: &'static str,
        deletes: Vec<Document>,
    ) -> Result<GroupedReply, StoreError> {
        let command = doc! { "delete": collection, "deletes": deletes };
        self.run_grouped(command).await
    }

    async fn run_grouped(&self, mut command: Document) -> Result<GroupedReply, StoreError> {
        command.insert("ordered", false);
        // Commands that are spelled out do not take the client's write concern.
        command.insert("writeConcern", doc! { "w": "majority", "j": true });
        let reply = within_deadline(self.database.run_command(command)).await?;
        read_reply(&reply)
    }
}

fn read_reply(reply: &Document) -> Result<GroupedReply, StoreError> {
    if let Ok(error) = reply.get_document("writeConcernError") {
        // Done, but perhaps not by a majority: the outcome is unknown.
        return Err(refused(number(error, "code")));
    }
    let errors: HashMap<usize, i32> = entries(reply, "writeErrors")
        .map(|error| (position(error), number(error, "code")))
        .collect();
    if let Some(code) = errors.values().find(|code| **code != DUPLICATE_KEY) {
        return Err(refused(*code));
    }
    Ok(GroupedReply {
        count: usize::try_from(number(reply, "n")).unwrap_or(0),
        inserted: entries(reply, "upserted").map(position).collect(),
        refused: errors.into_keys().collect(),
    })
}

fn refused(code: i32) -> StoreError {
    StoreError::Unavailable {
        store: STORE,
        source: WriteRefused { code }.into(),
    }
}

fn entries<'a>(reply: &'a Document, key: &str) -> impl Iterator<Item = &'a Document> {
    array(reply, key).iter().filter_map(Bson::as_document)
}

fn position(entry: &Document) -> usize {
    usize::try_from(number(entry, "index")).unwrap_or(usize::MAX)
}

fn number(document: &Document, key: &str) -> i32 {
    document.get_i32(key).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_a_unique_index_is_told_by_its_position() {
        let reply = doc! {
            "ok": 1.0, "n": 2,
            "upserted": [{ "index": 0, "_id": 1 }],
            "writeErrors": [{ "index": 2, "code": 11_000, "errmsg": "E11000" }],
        };
        let reply = read_reply(&reply).unwrap();
        assert_eq!(reply.count, 2);
        assert_eq!(reply.inserted, HashSet::from([0]));
        assert_eq!(reply.refused, HashSet::from([2]));
    }

    #[test]
    fn any_other_write_error_fails_the_whole_without_the_servers_words() {
        let error = doc! { "index": 0, "code": 14_031, "errmsg": "dup key: \"secret\"" };
        let failed = read_reply(&doc! { "n": 0, "writeErrors": [error] });
        let message = format!("{:?}", failed.err().unwrap());
        assert!(
            message.contains("14031") && !message.contains("secret"),
            "{message}"
        );
    }

    #[test]
    fn a_write_that_no_majority_acknowledged_is_no_success() {
        let reply = doc! { "n": 1, "writeConcernError": { "code": 64 } };
        assert!(read_reply(&reply).is_err());
    }
}

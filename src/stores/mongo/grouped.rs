//! Many writes to one collection in one round trip.
//!
//! The commands are spelled out because `Client::bulk_write` needs MongoDB 8, and because one
//! journal flush for hundreds of tokens is what makes them cheap. The driver does not repeat such
//! commands when a primary steps down, so that is done here.
//!
//! **A grouped write may be repeated, done or not.** Each is of one of four kinds, and a repeat
//! of one that was done changes nothing:
//! - an upsert by `_id` with `$setOnInsert` finds its own document: it matches and inserts nothing;
//! - a replacement under the condition that the pair has its old tokens finds the new ones;
//! - a delete under such a condition finds nothing;
//! - a mark that was taken off is not there.
//!
//! The first counts as matched, the others as not, but for the last, of which nobody asks. Where the count is short, what is in doubt is
//! read back, and what is found is done; a lone delete is told as not done, and its caller decides
//! anew. And since a majority confirms the repeat, it confirms the write before it as well.

use std::collections::{HashMap, HashSet};

use mongodb::bson::raw::{CStr, RawArrayBuf, cstr};
use mongodb::bson::{Bson, Document, RawDocumentBuf, rawdoc};
use mongodb::error::{Error as DriverError, ErrorKind};
use thiserror::Error;

use crate::stores::error::StoreError;

use super::{DUPLICATE_KEY, MongoStore, STORE, WRITE_TIMEOUT, within_deadline};

/// How often a write is repeated that a change of the primary or of the connection ended. The
/// second time is for a primary that says first that no majority confirmed, then that it is none.
const REPEATS: usize = 2;
/// What a server says that is no writable primary, or will soon be none: `NotWritablePrimary`,
/// `InterruptedDueToReplStateChange`, `PrimarySteppedDown`, `ShutdownInProgress`,
/// `InterruptedAtShutdown`, `NotPrimaryNoSecondaryOk`, `NotPrimaryOrSecondary`.
const PRIMARY_CHANGES: [i32; 7] = [10_107, 11_602, 189, 91, 11_600, 13_435, 13_436];
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
        updates: Vec<RawDocumentBuf>,
    ) -> Result<GroupedReply, StoreError> {
        self.run_grouped((cstr!("update"), collection), (cstr!("updates"), updates))
            .await
    }

    /// Does up to [`MOST_WRITES`] deletes, each whatever becomes of the others.
    pub(super) async fn delete_grouped(
        &self,
        collection: &'static str,
        deletes: Vec<RawDocumentBuf>,
    ) -> Result<GroupedReply, StoreError> {
        self.run_grouped((cstr!("delete"), collection), (cstr!("deletes"), deletes))
            .await
    }

    async fn run_grouped(
        &self,
        (name, collection): (&CStr, &str),
        (key, writes): (&CStr, Vec<RawDocumentBuf>),
    ) -> Result<GroupedReply, StoreError> {
        let mut command = RawDocumentBuf::new();
        command.append(name, collection);
        command.append(key, RawArrayBuf::from_iter(writes));
        command.append(cstr!("ordered"), false);
        // Commands that are spelled out do not take the client's write concern.
        let timeout = i64::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let write_concern = rawdoc! { "w": "majority", "j": true, "wtimeout": timeout };
        command.append(cstr!("writeConcern"), write_concern);
        let reply = within_deadline(self.run_repeatedly(command)).await?;
        read_reply(&reply)
    }

    async fn run_repeatedly(&self, command: RawDocumentBuf) -> Result<Document, DriverError> {
        let run = || self.database.run_raw_command(command.clone());
        for _ in 0..REPEATS {
            match run().await {
                Ok(reply) if !has_lost_primary(&reply) => return Ok(reply),
                Err(error) if !is_passing(&error) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        run().await
    }
}

/// Whether a part of a write was ended by a change of the primary.
fn has_lost_primary(reply: &Document) -> bool {
    let of_concern = reply.get_document("writeConcernError").ok();
    entries(reply, "writeErrors")
        .chain(of_concern)
        .any(|error| PRIMARY_CHANGES.contains(&number(error, "code")))
}

/// Whether the same command may go well on another connection or another primary.
fn is_passing(error: &DriverError) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
        ErrorKind::Command(command) => PRIMARY_CHANGES.contains(&command.code),
        _ => false,
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
    let entries = reply.get_array(key).map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(Bson::as_document)
}

fn position(entry: &Document) -> usize {
    usize::try_from(number(entry, "index")).unwrap_or(usize::MAX)
}

fn number(document: &Document, key: &str) -> i32 {
    document.get_i32(key).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

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

    #[test]
    fn a_write_that_a_change_of_the_primary_ended_is_repeated_and_no_other() {
        for code in PRIMARY_CHANGES {
            let error = doc! { "code": code };
            assert!(has_lost_primary(&doc! { "writeConcernError": &error }));
            assert!(has_lost_primary(&doc! { "writeErrors": [error] }));
        }
        for code in [64, 100, 14_031, DUPLICATE_KEY] {
            let error = doc! { "code": code };
            assert!(!has_lost_primary(&doc! { "writeConcernError": &error }));
            assert!(!has_lost_primary(&doc! { "writeErrors": [error] }));
        }
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_passing(&broken.into()));
        assert!(!is_passing(&DriverError::custom("a bug")));
    }
}

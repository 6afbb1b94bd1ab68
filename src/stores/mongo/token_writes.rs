//! Conditional writes of token records, grouped.
//!
//! The server counts what a group did but does not say which of its writes found their record, so
//! where the count is short the doubtful ones are read back.

use std::collections::{HashMap, HashSet};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBsonRef, cstr};
use mongodb::bson::{RawBson, RawDocument, RawDocumentBuf, doc, rawdoc};

use crate::domain::token::{RecordId, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;
use crate::stores::{ExpectedRecord, TokenWrite};

use super::documents::fields::Fields;
use super::documents::{object_id, texts, token};
use super::grouped::GroupedReply;
use super::{MongoStore, one_batch, read_all};

/// What [`TokenKey::parse`] reads: a token, or the SHA-256 of one.
const KEY: &str = r"^([A-Za-z0-9]{30}|[0-9a-f]{64})\z";

/// An insert or a replacement, with its position in the batch.
struct Put<'a> {
    position: usize,
    record: &'a TokenRecord,
    expected: Option<&'a ExpectedRecord>,
}

impl MongoStore {
    /// Does the deletes of a group, then its inserts and replacements.
    pub(super) async fn write_group(&self, writes: &[TokenWrite]) -> Result<Vec<bool>, StoreError> {
        let mut deletes = Vec::new();
        let mut puts = Vec::new();
        for (position, write) in writes.iter().enumerate() {
            let (record, expected) = match write {
                TokenWrite::Insert(record) => (record, None),
                TokenWrite::Replace { expected, record } => (record, Some(expected)),
                TokenWrite::Delete { expected } => {
                    deletes.push((position, expected));
                    continue;
                }
            };
            puts.push(Put {
                position,
                record,
                expected,
            });
        }
        let mut is_done = vec![false; writes.len()];
        for position in self.delete(deletes).await? {
            is_done[position] = true;
        }
        for position in self.put(&puts).await? {
            is_done[position] = true;
        }
        Ok(is_done)
    }

    /// Deletes, and gives the positions of those that found their record.
    async fn delete(
        &self,
        mut deletes: Vec<(usize, &ExpectedRecord)>,
    ) -> Result<Vec<usize>, StoreError> {
        if deletes.len() > 1 {
            // Only a count comes back, so those whose record has changed are left out first.
            let ids: Vec<ObjectId> = deletes.iter().map(|(_, e)| object_id(e.id)).collect();
            let find = self.tokens.find(doc! { "_id": { "$in": ids } });
            let find = find.batch_size(one_batch(deletes.len()));
            let present = read_all(find, read_state).await?;
            let mut present: HashMap<RecordId, _> = present.into_iter().collect();
            deletes.retain(|(_, expected)| {
                let found = present.remove(&expected.id);
                found.is_some_and(|state| state == state_of(expected))
            });
        }
        if deletes.is_empty() {
            return Ok(Vec::new());
        }
        let commands = deletes
            .iter()
            .map(|(_, expected)| rawdoc! { "q": condition(expected), "limit": 1 })
            .collect();
        let reply = self.delete_grouped("tokens", commands).await?;
        let is_done = reply.count == deletes.len();
        if !is_done && deletes.len() == 1 {
            return Ok(Vec::new());
        }
        let left = if is_done {
            HashSet::new()
        } else {
            self.left(&deletes).await?
        };
        // A short count means that another server was quicker with one of several that were there
        // a moment ago. What is gone is gone, whoever removed it.
        let done = deletes
            .into_iter()
            .filter(|(_, expected)| !left.contains(&expected.id));
        Ok(done.map(|(position, _)| position).collect())
    }

    /// Which of these records are still there.
    async fn left(
        &self,
        deletes: &[(usize, &ExpectedRecord)],
    ) -> Result<HashSet<RecordId>, StoreError> {
        let ids: Vec<ObjectId> = deletes.iter().map(|(_, e)| object_id(e.id)).collect();
        let find = self.tokens.find(doc! { "_id": { "$in": ids } });
        let find = find.projection(doc! { "_id": 1 });
        let left = read_all(find, |document| Fields::of(document).record_id("_id"));
        Ok(left.await?.into_iter().collect())
    }

    /// Inserts and replaces, and gives the positions of those whose condition held.
    async fn put(&self, puts: &[Put<'_>]) -> Result<Vec<usize>, StoreError> {
        if puts.is_empty() {
            return Ok(Vec::new());
        }
        let updates = puts.iter().map(update).collect();
        let reply = self.update_grouped("tokens", updates).await?;
        self.clear_unreadable(puts, &reply).await?;
        let (mut done, doubtful) = settle(puts, &reply);
        if !doubtful.is_empty() {
            let written = self.read_back(&doubtful).await?;
            let is_written = |put: &&&Put<'_>| {
                let id = written.get(&put.record.access_token);
                id == Some(&put.record.id)
            };
            done.extend(doubtful.iter().filter(is_written).map(|put| put.position));
        }
        Ok(done)
    }

    /// Where an insert was refused, a document that nobody can read may hold the place: a token of
    /// another shape, say. A login replaces its session's document as any other's; the caller reads
    /// again, finds none, and inserts.
    async fn clear_unreadable(
        &self,
        puts: &[Put<'_>],
        reply: &GroupedReply,
    ) -> Result<(), StoreError> {
        let refused = puts
            .iter()
            .enumerate()
            .filter(|(index, put)| put.expected.is_none() && reply.refused.contains(index));
        let deletes: Vec<RawDocumentBuf> = refused
            .filter_map(|(_, put)| unreadable(put.record))
            .map(|query| rawdoc! { "q": query, "limit": 1 })
            .collect();
        if !deletes.is_empty() {
            self.delete_grouped("tokens", deletes).await?;
        }
        Ok(())
    }

    /// Which of the new access tokens are there, and in which record.
    async fn read_back(
        &self,
        puts: &[&Put<'_>],
    ) -> Result<HashMap<TokenKey, RecordId>, StoreError> {
        let tokens: Vec<TokenKey> = puts.iter().map(|p| p.record.access_token.clone()).collect();
        let filter = doc! { "access_token": { "$in": texts(&tokens) } };
        let find = self.tokens.find(filter).batch_size(one_batch(puts.len()));
        let find = find.projection(doc! { "access_token": 1 });
        let written = read_all(find, |document| {
            let document = Fields::of(document);
            Some((document.token("access_token")?, document.record_id("_id")?))
        });
        Ok(written.await?.into_iter().collect())
    }
}

/// Tells the positions that are surely done from the writes that must be read back.
fn settle<'p, 'a>(puts: &'p [Put<'a>], reply: &GroupedReply) -> (Vec<usize>, Vec<&'p Put<'a>>) {
    let all_matched = reply.count == puts.len() - reply.refused.len();
    let mut done = Vec::new();
    let mut doubtful = Vec::new();
    for (index, put) in puts.iter().enumerate() {
        if reply.refused.contains(&index) {
            continue;
        }
        let is_replaced = all_matched && put.expected.is_some();
        if is_replaced || reply.inserted.contains(&index) {
            done.push(put.position);
        } else {
            doubtful.push(put);
        }
    }
    (done, doubtful)
}

fn update(put: &Put<'_>) -> RawDocumentBuf {
    let document = token::write(put.record);
    let mut update = RawDocumentBuf::new();
    if let Some(expected) = put.expected {
        update.append(cstr!("q"), condition(expected));
        update.append(cstr!("u"), document);
        return update;
    }
    // An insert that is repeated after a lost answer finds its own record and leaves it be; the
    // unique index on user and client refuses it when there is another.
    update.append(cstr!("q"), rawdoc! { "_id": object_id(put.record.id) });
    update.append(cstr!("u"), rawdoc! { "$setOnInsert": document });
    update.append(cstr!("upsert"), true);
    update
}

/// The document in the place of a session that `documents::token` cannot read.
fn unreadable(wanted: &TokenRecord) -> Option<RawDocumentBuf> {
    let session = wanted.session.map(object_id);
    let session = session.map_or(RawBson::Null, RawBson::ObjectId);
    let shape = || rawdoc! { "$not": { "$regex": KEY } };
    Some(rawdoc! {
        "client_id": wanted.client_id.as_str(),
        "user_id": object_id(wanted.user_id?),
        "session": session,
        "$or": [
            { "access_token": shape() },
            { "refresh_token": { "$nin": [null], "$not": { "$regex": KEY } } },
            { "expires": { "$not": { "$type": "date" } } },
        ],
    })
}

fn condition(expected: &ExpectedRecord) -> RawDocumentBuf {
    let mut condition = RawDocumentBuf::new();
    condition.append(cstr!("_id"), object_id(expected.id));
    condition.append(cstr!("access_token"), expected.access_token.expose());
    // A condition of null holds for an absent field.
    let refresh_token = expected.refresh_token.as_ref().map(TokenKey::expose);
    let refresh_token = refresh_token.map_or(RawBsonRef::Null, RawBsonRef::String);
    condition.append(cstr!("refresh_token"), refresh_token);
    condition
}

/// The tokens of a pair, whatever else it has; of a document that cannot be read none.
type PairState = (Option<TokenKey>, Option<TokenKey>);

fn read_state(document: &RawDocument) -> Option<(RecordId, PairState)> {
    let document = Fields::of(document);
    let state = (
        document.token("access_token"),
        document.token("refresh_token"),
    );
    Some((document.record_id("_id")?, state))
}

fn state_of(expected: &ExpectedRecord) -> PairState {
    (
        Some(expected.access_token.clone()),
        expected.refresh_token.clone(),
    )
}

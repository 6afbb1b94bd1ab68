//! Between BSON documents and the types of `domain`, one file per collection.
//!
//! A document without our `schema` field is Flask-Sentinel's and is read by its rules.

pub(super) mod client;
pub(super) mod token;
pub(super) mod user;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document};
use time::OffsetDateTime;

use crate::domain::scope::Scope;
use crate::domain::token::{RecordId, TokenValue};

/// Marks a document of ours; its value counts changes of our own fields.
const SCHEMA: &str = "schema";
/// The present count.
const SCHEMA_VERSION: i32 = 1;

/// The BSON date of an instant, in whole milliseconds.
pub(super) fn date(instant: OffsetDateTime) -> DateTime {
    let millis = instant.unix_timestamp_nanos() / 1_000_000;
    DateTime::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// The BSON identifier of a record.
pub(super) fn object_id(id: RecordId) -> ObjectId {
    ObjectId::from_bytes(id.0)
}

/// The identifier of a document; `None` when it is not an `ObjectId`.
pub(super) fn record_id(document: &Document, key: &str) -> Option<RecordId> {
    let id = document.get_object_id(key).ok()?;
    Some(RecordId(id.bytes()))
}

/// Bytes in the subtype that Flask-Sentinel uses.
pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

/// The texts of tokens, for a query.
pub(super) fn texts(tokens: &[TokenValue]) -> Vec<&str> {
    tokens.iter().map(TokenValue::expose).collect()
}

/// The elements of an array; none when the field is absent or something else.
pub(super) fn array<'a>(document: &'a Document, key: &str) -> &'a [Bson] {
    document.get_array(key).map_or(&[], Vec::as_slice)
}

fn is_ours(document: &Document) -> bool {
    document.contains_key(SCHEMA)
}

fn is_disabled(document: &Document) -> bool {
    document.get_bool("disabled").unwrap_or(false)
}

fn instant(document: &Document, key: &str) -> Option<OffsetDateTime> {
    let date = document.get_datetime(key).ok()?;
    let nanos = i128::from(date.timestamp_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

fn token(document: &Document, key: &str) -> Option<TokenValue> {
    TokenValue::parse(document.get_str(key).ok()?)
}

fn scope(document: &Document, key: &str) -> Scope {
    strings(document, key).map(str::to_owned).collect()
}

fn strings<'a>(document: &'a Document, key: &str) -> impl Iterator<Item = &'a str> {
    array(document, key).iter().filter_map(Bson::as_str)
}

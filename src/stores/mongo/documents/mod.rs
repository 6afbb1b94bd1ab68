//! Between BSON documents and the types of `domain`, one file per collection.
//!
//! A document without our `schema` field is Flask-Sentinel's and is read by its rules.

pub(super) mod change;
pub(super) mod client;
pub(super) mod client_secrets;
pub(super) mod ended_round;
pub(super) mod fields;
pub(super) mod token;
pub(super) mod user;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{CStr, cstr};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime};
use time::OffsetDateTime;

use crate::domain::token::RecordId;
use crate::domain::token_key::TokenKey;

use fields::Fields;

/// Marks a document of ours; its value counts changes of our own fields.
const SCHEMA: &CStr = cstr!("schema");
/// The present count.
const SCHEMA_VERSION: i32 = 1;

/// Counts how often all tokens of a user or client were ended.
const SESSIONS_ENDED: &str = "sessions_ended";

/// The BSON date of an instant, in whole milliseconds.
pub(super) fn date(instant: OffsetDateTime) -> DateTime {
    let millis = instant.unix_timestamp_nanos() / 1_000_000;
    DateTime::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// The BSON identifier of a record.
pub(super) fn object_id(id: RecordId) -> ObjectId {
    ObjectId::from_bytes(id.0)
}

/// Bytes in the subtype that Flask-Sentinel uses.
pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

/// The texts of tokens, for a query.
pub(super) fn texts(tokens: &[TokenKey]) -> Vec<&str> {
    tokens.iter().map(TokenKey::expose).collect()
}

fn is_ours(document: &Fields<'_>) -> bool {
    document.has(SCHEMA.as_str())
}

fn is_disabled(document: &Fields<'_>) -> bool {
    document.is_true("disabled")
}

/// How often all tokens of a user or client were ended; a document that does not say was never asked.
fn sessions_ended(document: &Fields<'_>) -> u64 {
    document.count(SESSIONS_ENDED).unwrap_or(0)
}

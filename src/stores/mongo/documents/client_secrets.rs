//! The secrets in a document of `clients`: their hashes, as the first version wrote them, and beside
//! each, in the same order, what else is known of it.

use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, Document, doc};
use time::OffsetDateTime;

use crate::domain::client::SecretHash;
use crate::domain::client_secret::{SecretId, StoredSecret};

use super::fields::Fields;
use super::{binary, date, object_id};

/// The field of the hashes.
pub(in super::super) const HASHES: &str = "client_secret_hashes";
/// The field of what is known beside.
const DETAILS: &str = "client_secrets";

/// The fields of secrets.
pub(in super::super) fn fields(secrets: &[StoredSecret]) -> Document {
    let details: Vec<Document> = secrets.iter().map(detail).collect();
    doc! { HASHES: hashes(secrets), DETAILS: details }
}

/// The hashes of secrets, which are found as they stand.
pub(in super::super) fn hashes(secrets: &[StoredSecret]) -> Vec<Bson> {
    let binaries = secrets.iter().map(|secret| binary(&secret.hash.0).into());
    binaries.collect()
}

/// The condition and the update that note a use of a secret whose details are written.
pub(in super::super) fn used(secret: SecretId, at: OffsetDateTime) -> (Document, Document) {
    let condition = doc! { format!("{DETAILS}.id"): object_id(secret) };
    let last_used_at = format!("{DETAILS}.$.last_used_at");
    (condition, doc! { "$max": { last_used_at: date(at) } })
}

/// Reads the secrets of a client that was made at `client_made_at`.
pub(super) fn read(document: &Fields<'_>, client_made_at: OffsetDateTime) -> Vec<StoredSecret> {
    let hash = |value: RawBsonRef<'_>| match value {
        RawBsonRef::Binary(binary) => binary.bytes.try_into().ok().map(SecretHash),
        _ => None,
    };
    let hashes = document.elements(HASHES).filter_map(hash);
    let mut details = document.elements(DETAILS);
    let secret = |(place, hash)| {
        let plain = StoredSecret::of_list(hash, place, client_made_at);
        let Some(detail) = details.next().and_then(RawBsonRef::as_document) else {
            return plain;
        };
        let detail = Fields::of(detail);
        StoredSecret {
            id: detail.record_id("id").unwrap_or(plain.id),
            created_at: detail.instant("created_at").unwrap_or(plain.created_at),
            last_used_at: detail.instant("last_used_at"),
            ..plain
        }
    };
    hashes.enumerate().map(secret).collect()
}

fn detail(secret: &StoredSecret) -> Document {
    let mut detail = doc! { "id": object_id(secret.id), "created_at": date(secret.created_at) };
    if let Some(instant) = secret.last_used_at {
        detail.insert("last_used_at", date(instant));
    }
    detail
}

//! Documents of `tokens`.

use mongodb::bson::raw::{CStr, RawArrayBuf, RawBsonRef, cstr};
use mongodb::bson::{RawDocument, RawDocumentBuf};
use time::OffsetDateTime;
use tracing::warn;

use crate::domain::client::ClientId;
use crate::domain::scope::Scope;
use crate::domain::token::{CLEANUP_SLACK, RotatedFrom, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::token_pair::SealedPair;

use super::fields::Fields;
use super::{SCHEMA, SCHEMA_VERSION, binary, date, object_id};

/// The access token in whose place a pair came.
const REPLACED: &CStr = cstr!("replaced_access_token");
/// The pair itself for who spent the earlier one, where there are only hashes of it.
const SEALED: &CStr = cstr!("sealed");
/// When the last refresh token of a login ends.
const FAMILY_EXPIRES: &CStr = cstr!("family_expires");

/// The document of a token pair.
pub(in super::super) fn write(record: &TokenRecord) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), object_id(record.id));
    document.append(cstr!("access_token"), record.access_token.expose());
    document.append(cstr!("client_id"), record.client_id.as_str());
    document.append(cstr!("expires"), date(record.expires_at));
    document.append(cstr!("scopes"), scope_tokens(&record.scope));
    document.append(cstr!("token_type"), "Bearer");
    document.append(cstr!("user"), RawBsonRef::Null);
    document.append(SCHEMA, SCHEMA_VERSION);
    document.append(cstr!("refresh_scopes"), scope_tokens(&record.refresh_scope));
    document.append(cstr!("family"), object_id(record.family));
    document.append(cstr!("issued_at"), date(record.issued_at));
    if let Some(refresh_token) = &record.refresh_token {
        document.append(cstr!("refresh_token"), refresh_token.expose());
    }
    if let Some(user_id) = record.user_id {
        document.append(cstr!("user_id"), object_id(user_id));
    }
    if let Some(session) = record.session {
        document.append(cstr!("session"), object_id(session));
    }
    if let Some(instant) = record.refresh_expires_at {
        document.append(cstr!("refresh_expires"), date(instant));
    }
    // Where it is not said, the one is the other.
    if record.family_expires_at != record.refresh_expires_at {
        let instant = record.family_expires_at.map(date);
        let instant = instant.map_or(RawBsonRef::Null, RawBsonRef::DateTime);
        document.append(FAMILY_EXPIRES, instant);
    }
    if let Some(rotated_from) = &record.rotated_from {
        let mut spent = RawDocumentBuf::new();
        spent.append(cstr!("refresh_token"), rotated_from.refresh_token.expose());
        spent.append(cstr!("at"), date(rotated_from.at));
        if let Some(sealed) = &rotated_from.sealed {
            spent.append(SEALED, binary(&sealed.0));
        }
        document.append(cstr!("rotated_from"), spent);
    }
    if let Some(replaced) = &record.replaced {
        document.append(REPLACED, replaced.expose());
    }
    if let Some(instant) = purge_at(record) {
        document.append(
            cstr!("purge_at"),
            date(instant.saturating_add(CLEANUP_SLACK)),
        );
    }
    document
}

/// Reads a token pair. One that nobody writes is told in the log and counts as absent: it must
/// not break the answers to all the others of a batch.
pub(in super::super) fn read(document: &RawDocument) -> Option<TokenRecord> {
    let fields = Fields::of(document);
    let record = try_read(&fields);
    if record.is_none() {
        let id = fields.record_id("_id").map(|id| id.to_string());
        warn!(
            record.id = id,
            "a document of the tokens collection cannot be read"
        );
    }
    record
}

fn try_read(document: &Fields<'_>) -> Option<TokenRecord> {
    let id = document.record_id("_id")?;
    let refresh_token = document.token("refresh_token");
    let user_id = document.record_id("user_id");
    if refresh_token.is_none() && !document.lacks("refresh_token")
        || user_id.is_none() && !document.lacks("user_id")
    {
        return None;
    }
    let refresh_expires_at = document.instant("refresh_expires");
    Some(TokenRecord {
        id,
        access_token: document.token("access_token")?,
        refresh_token,
        client_id: ClientId::new(document.text("client_id")?),
        user_id,
        session: document.record_id("session"),
        scope: document.scope("scopes"),
        // Flask-Sentinel knows one scope only.
        refresh_scope: if document.has("refresh_scopes") {
            document.scope("refresh_scopes")
        } else {
            document.scope("scopes")
        },
        issued_at: document
            .instant("issued_at")
            .unwrap_or_else(|| id.created_at()),
        expires_at: document.instant("expires")?,
        refresh_expires_at,
        family_expires_at: if document.has(FAMILY_EXPIRES.as_str()) {
            document.instant(FAMILY_EXPIRES.as_str())
        } else {
            refresh_expires_at
        },
        family: document.record_id("family").unwrap_or(id),
        rotated_from: rotated_from(document),
        replaced: document.token(REPLACED.as_str()),
    })
}

/// Reads the access token of a pair, of a document that may have no more.
pub(in super::super) fn read_access_token(document: &RawDocument) -> Option<TokenKey> {
    Fields::of(document).token("access_token")
}

fn rotated_from(document: &Fields<'_>) -> Option<RotatedFrom> {
    let spent = document.document("rotated_from")?;
    Some(RotatedFrom {
        refresh_token: spent.token("refresh_token")?,
        at: spent.instant("at")?,
        sealed: spent
            .bytes(SEALED.as_str())
            .map(|bytes| SealedPair(bytes.into())),
    })
}

/// From when on nobody can use either token; `None` when the refresh token lasts for ever.
fn purge_at(record: &TokenRecord) -> Option<OffsetDateTime> {
    if record.refresh_token.is_none() {
        return Some(record.expires_at);
    }
    let refresh_expires_at = record.refresh_expires_at?;
    Some(refresh_expires_at.max(record.expires_at))
}

/// The empty scope is one empty string, as Flask-Sentinel writes it.
fn scope_tokens(scope: &Scope) -> RawArrayBuf {
    if scope.is_empty() {
        return RawArrayBuf::from_iter([""]);
    }
    scope.iter().collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{Bson, DateTime, Document, doc};

    use super::*;

    fn read(document: &Document) -> Option<TokenRecord> {
        super::read(&RawDocumentBuf::try_from(document).unwrap())
    }

    fn write(record: &TokenRecord) -> Document {
        Document::try_from(super::write(record)).unwrap()
    }

    fn old() -> Document {
        doc! {
            "_id": ObjectId::parse_str("6b0492317e71feb5ac22f6b4").unwrap(),
            "access_token": "2nbsIgCZTWrqAYhW61htarwhBS7LF9",
            "client_id": "shFOe5rR3w9KkadUAXgmi0mq7UhYPn6FKLANwQsg",
            "expires": DateTime::from_millis(1_795_465_281_474),
            "refresh_token": "ja5sQhTd0ebRA7Lkmps7s74eHlvhI3",
            "scopes": [""],
            "token_type": "Bearer",
            "user": Bson::Null,
            "user_id": ObjectId::parse_str("6b049213eb1acd78e9075d3b").unwrap(),
        }
    }

    #[test]
    fn an_old_pair_is_its_own_family_and_refreshes_for_ever() {
        let record = read(&old()).unwrap();
        assert_eq!(record.family, record.id);
        assert_eq!(record.issued_at, record.id.created_at());
        assert!(record.refresh_expires_at.is_none());
        assert!(record.scope.is_empty());
        assert_eq!(record.expires_at.millisecond(), 474);
    }

    #[test]
    fn a_pair_that_is_written_again_keeps_the_fields_of_flask_sentinel() {
        let written = write(&read(&old()).unwrap());
        for (field, value) in old() {
            assert_eq!(written.get(&field), Some(&value), "{field}");
        }
        assert!(!written.contains_key("purge_at"));
    }

    #[test]
    fn a_pair_may_go_when_both_of_its_tokens_have_ended() {
        let mut record = read(&old()).unwrap();
        let later = record.expires_at + time::Duration::days(30);
        record.refresh_expires_at = Some(later);
        assert_eq!(
            write(&record).get_datetime("purge_at").unwrap(),
            &date(later + CLEANUP_SLACK)
        );
        record.refresh_token = None;
        let purge_at = date(record.expires_at + CLEANUP_SLACK);
        assert_eq!(write(&record).get_datetime("purge_at").unwrap(), &purge_at);
    }

    #[test]
    fn a_document_with_a_field_that_nobody_writes_is_absent() {
        for field in [
            "access_token",
            "refresh_token",
            "client_id",
            "expires",
            "user_id",
        ] {
            let mut document = old();
            document.insert(field, 7);
            assert!(read(&document).is_none(), "{field}");
        }
    }
}

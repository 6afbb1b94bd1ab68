//! Documents of `tokens` and `ended_tokens`.

use std::collections::HashSet;

use mongodb::bson::raw::{CStr, RawArrayBuf, RawBsonRef, cstr};
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};
use time::OffsetDateTime;
use tracing::warn;

use crate::domain::client::ClientId;
use crate::domain::scope::Scope;
use crate::domain::token::{CLEANUP_SLACK, EndedToken, RotatedFrom, TokenRecord, TokenValue};

use super::fields::Fields;
use super::{SCHEMA, SCHEMA_VERSION, date, object_id};

/// The access token in whose place a pair came.
const REPLACED: &CStr = cstr!("replaced_access_token");
/// Marks an end whose caller was not answered yet.
const UNANSWERED: &CStr = cstr!("unanswered");
/// Marks an end of which Redis was not told yet.
const UNPUBLISHED: &CStr = cstr!("unpublished");

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
    if let Some(instant) = record.refresh_expires_at {
        document.append(cstr!("refresh_expires"), date(instant));
    }
    if let Some(rotated_from) = &record.rotated_from {
        let mut spent = RawDocumentBuf::new();
        spent.append(cstr!("refresh_token"), rotated_from.refresh_token.expose());
        spent.append(cstr!("at"), date(rotated_from.at));
        document.append(cstr!("rotated_from"), spent);
    }
    if let Some(replaced) = &record.replaced {
        document.append(REPLACED, replaced.expose());
    }
    if let Some(instant) = purge_at(record) {
        document.append(cstr!("purge_at"), date(instant + CLEANUP_SLACK));
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
    Some(TokenRecord {
        id,
        access_token: document.token("access_token")?,
        refresh_token,
        client_id: ClientId::new(document.text("client_id")?),
        user_id,
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
        refresh_expires_at: document.instant("refresh_expires"),
        family: document.record_id("family").unwrap_or(id),
        rotated_from: rotated_from(document),
        replaced: document.token(REPLACED.as_str()),
    })
}

/// Reads the access token of a pair, of a document that may have no more.
pub(in super::super) fn read_access_token(document: &RawDocument) -> Option<TokenValue> {
    Fields::of(document).token("access_token")
}

/// The condition of an index of what Redis was not told yet.
pub(in super::super) fn is_unpublished() -> Document {
    doc! { UNPUBLISHED.as_str(): true }
}

/// The keys of the index that finds ends of which Redis was not told yet.
pub(in super::super) fn unpublished_in_order() -> Document {
    doc! { UNPUBLISHED.as_str(): 1, "expires": 1, "_id": 1 }
}

/// The updates that take marks off ends: both at once where both are to go.
pub(in super::super) fn settle(
    answered: &[TokenValue],
    published: &[TokenValue],
) -> Vec<RawDocumentBuf> {
    let both: HashSet<&TokenValue> = published.iter().collect();
    let (both, answered): (Vec<_>, Vec<_>) =
        answered.iter().partition(|token| both.contains(token));
    let done: HashSet<&TokenValue> = both.iter().copied().collect();
    let published = published.iter().filter(|token| !done.contains(token));
    let published: Vec<&TokenValue> = published.collect();
    let groups: [(&[&CStr], Vec<&TokenValue>); 3] = [
        (&[UNANSWERED, UNPUBLISHED], both),
        (&[UNANSWERED], answered),
        (&[UNPUBLISHED], published),
    ];
    let filled = groups.iter().filter(|(_, tokens)| !tokens.is_empty());
    filled
        .map(|(marks, tokens)| take_off(marks, tokens))
        .collect()
}

fn take_off(marks: &[&CStr], tokens: &[&TokenValue]) -> RawDocumentBuf {
    let tokens: RawArrayBuf = tokens.iter().map(|token| token.expose()).collect();
    let marks: RawDocumentBuf = marks.iter().map(|mark| (*mark, "")).collect();
    rawdoc! {
        "q": { "_id": { "$in": tokens } },
        "u": { "$unset": marks },
        "multi": true,
    }
}

/// The memory of an end.
pub(in super::super) fn write_end(end: &EndedToken) -> RawDocumentBuf {
    let mut memory = RawDocumentBuf::new();
    memory.append(cstr!("_id"), end.access_token.expose());
    memory.append(cstr!("family"), object_id(end.family));
    memory.append(cstr!("ended_at"), date(end.ended_at));
    memory.append(cstr!("expires"), date(end.access_expires_at));
    memory.append(cstr!("forget_at"), date(end.forget_at));
    if let Some(refresh_token) = &end.refresh_token {
        memory.append(cstr!("refresh_token"), refresh_token.expose());
    }
    // Marks are there only while there is something to do, so that their index is small.
    for (mark, is_settled) in [
        (UNANSWERED, end.is_answered),
        (UNPUBLISHED, end.is_published),
    ] {
        if !is_settled {
            memory.append(mark, true);
        }
    }
    memory
}

/// Reads the memory of an end; `None` when nobody writes it so.
pub(in super::super) fn read_end(document: &RawDocument) -> Option<EndedToken> {
    let document = Fields::of(document);
    Some(EndedToken {
        access_token: document.token("_id")?,
        refresh_token: document.token("refresh_token"),
        family: document.record_id("family")?,
        ended_at: document.instant("ended_at")?,
        access_expires_at: document.instant("expires")?,
        forget_at: document.instant("forget_at")?,
        is_answered: !document.has(UNANSWERED.as_str()),
        is_published: !document.has(UNPUBLISHED.as_str()),
    })
}

fn rotated_from(document: &Fields<'_>) -> Option<RotatedFrom> {
    let spent = document.document("rotated_from")?;
    Some(RotatedFrom {
        refresh_token: spent.token("refresh_token")?,
        at: spent.instant("at")?,
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
    use mongodb::bson::{Bson, DateTime, doc};

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

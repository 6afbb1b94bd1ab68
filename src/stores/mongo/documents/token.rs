//! Documents of `tokens` and `ended_tokens`.

use mongodb::bson::{Bson, Document, doc};
use time::OffsetDateTime;
use tracing::warn;

use crate::domain::client::ClientId;
use crate::domain::scope::Scope;
use crate::domain::token::{CLEANUP_SLACK, EndedToken, RotatedFrom, TokenRecord, TokenValue};

use super::{SCHEMA, SCHEMA_VERSION, date, instant, object_id, record_id, scope, texts, token};

/// The access token in whose place a pair came.
const REPLACED: &str = "replaced_access_token";

/// The document of a token pair.
pub(in super::super) fn write(record: &TokenRecord) -> Document {
    let mut document = doc! {
        "_id": object_id(record.id),
        "access_token": record.access_token.expose(),
        "client_id": record.client_id.as_str(),
        "expires": date(record.expires_at),
        "scopes": scope_tokens(&record.scope),
        "token_type": "Bearer",
        "user": Bson::Null,
        SCHEMA: SCHEMA_VERSION,
        "refresh_scopes": scope_tokens(&record.refresh_scope),
        "family": object_id(record.family),
        "issued_at": date(record.issued_at),
    };
    if let Some(refresh_token) = &record.refresh_token {
        document.insert("refresh_token", refresh_token.expose());
    }
    if let Some(user_id) = record.user_id {
        document.insert("user_id", object_id(user_id));
    }
    if let Some(instant) = record.refresh_expires_at {
        document.insert("refresh_expires", date(instant));
    }
    if let Some(rotated_from) = &record.rotated_from {
        let refresh_token = rotated_from.refresh_token.expose();
        let at = date(rotated_from.at);
        document.insert(
            "rotated_from",
            doc! { "refresh_token": refresh_token, "at": at },
        );
    }
    if let Some(replaced) = &record.replaced {
        document.insert(REPLACED, replaced.expose());
    }
    if let Some(instant) = purge_at(record) {
        document.insert("purge_at", date(instant + CLEANUP_SLACK));
    }
    document
}

/// Reads a token pair. One that nobody writes is told in the log and counts as absent: it must
/// not break the answers to all the others of a batch.
pub(in super::super) fn read(document: &Document) -> Option<TokenRecord> {
    let record = try_read(document);
    if record.is_none() {
        let id = record_id(document, "_id").map(|id| id.to_string());
        warn!(
            record.id = id,
            "a document of the tokens collection cannot be read"
        );
    }
    record
}

fn try_read(document: &Document) -> Option<TokenRecord> {
    let id = record_id(document, "_id")?;
    let user_id = match document.get("user_id") {
        None | Some(Bson::Null) => None,
        Some(_) => Some(record_id(document, "user_id")?),
    };
    let refresh_token = match document.get("refresh_token") {
        None | Some(Bson::Null) => None,
        Some(_) => Some(token(document, "refresh_token")?),
    };
    Some(TokenRecord {
        id,
        access_token: token(document, "access_token")?,
        refresh_token,
        client_id: ClientId::new(document.get_str("client_id").ok()?),
        user_id,
        scope: scope(document, "scopes"),
        // Flask-Sentinel knows one scope only.
        refresh_scope: match document.get("refresh_scopes") {
            None => scope(document, "scopes"),
            Some(_) => scope(document, "refresh_scopes"),
        },
        issued_at: instant(document, "issued_at").unwrap_or_else(|| id.created_at()),
        expires_at: instant(document, "expires")?,
        refresh_expires_at: instant(document, "refresh_expires"),
        family: record_id(document, "family").unwrap_or(id),
        rotated_from: rotated_from(document),
        replaced: token(document, REPLACED),
    })
}

/// Marks an end whose caller was not answered yet.
const UNANSWERED: &str = "unanswered";
/// Marks an end of which Redis was not told yet.
pub(in super::super) const UNPUBLISHED: &str = "unpublished";

/// The keys of the index that finds ends of which Redis was not told yet.
pub(in super::super) fn unpublished_in_order() -> Document {
    doc! { UNPUBLISHED: 1, "expires": 1, "_id": 1 }
}

/// The updates that take marks off ends.
pub(in super::super) fn settle(answered: &[TokenValue], published: &[TokenValue]) -> Vec<Document> {
    let update = |mark: &str, tokens: &[TokenValue]| {
        doc! {
            "q": { "_id": { "$in": texts(tokens) } },
            "u": { "$unset": { mark: "" } },
            "multi": true,
        }
    };
    let marks = [(UNANSWERED, answered), (UNPUBLISHED, published)];
    let marked = marks.into_iter().filter(|(_, tokens)| !tokens.is_empty());
    marked.map(|(mark, tokens)| update(mark, tokens)).collect()
}

/// The update that remembers an end; the first one of a token stays.
pub(in super::super) fn remember(end: &EndedToken) -> Document {
    let mut memory = doc! {
        "family": object_id(end.family),
        "ended_at": date(end.ended_at),
        "expires": date(end.access_expires_at),
        "forget_at": date(end.forget_at),
    };
    if let Some(refresh_token) = &end.refresh_token {
        memory.insert("refresh_token", refresh_token.expose());
    }
    // Marks are there only while there is something to do, so that their index is small.
    for (mark, is_settled) in [
        (UNANSWERED, end.is_answered),
        (UNPUBLISHED, end.is_published),
    ] {
        if !is_settled {
            memory.insert(mark, true);
        }
    }
    doc! {
        "q": { "_id": end.access_token.expose() },
        "u": { "$setOnInsert": memory },
        "upsert": true,
    }
}

/// Reads the memory of an end; `None` when nobody writes it so.
pub(in super::super) fn read_end(document: &Document) -> Option<EndedToken> {
    Some(EndedToken {
        access_token: token(document, "_id")?,
        refresh_token: token(document, "refresh_token"),
        family: record_id(document, "family")?,
        ended_at: instant(document, "ended_at")?,
        access_expires_at: instant(document, "expires")?,
        forget_at: instant(document, "forget_at")?,
        is_answered: !document.contains_key(UNANSWERED),
        is_published: !document.contains_key(UNPUBLISHED),
    })
}

fn rotated_from(document: &Document) -> Option<RotatedFrom> {
    let spent = document.get_document("rotated_from").ok()?;
    Some(RotatedFrom {
        refresh_token: token(spent, "refresh_token")?,
        at: instant(spent, "at")?,
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
fn scope_tokens(scope: &Scope) -> Vec<&str> {
    if scope.is_empty() {
        return vec![""];
    }
    scope.iter().collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{DateTime, doc};

    use super::*;

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

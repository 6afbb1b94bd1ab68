//! Changes of users and clients, and what tells whether they may have tokens.

use mongodb::bson::{Document, RawDocument, doc};

use crate::domain::client::ClientId;
use crate::domain::standing::Standing;
use crate::domain::user::UserId;
use crate::stores::users_and_clients::{ClientChange, UserChange};

use super::fields::Fields;
use super::{SESSIONS_ENDED, is_disabled, sessions_ended, user};

/// The update that makes a change to a user; nothing where nothing changes.
pub(in super::super) fn of_user(change: &UserChange) -> Document {
    let mut set = Document::new();
    if let Some(hash) = &change.password_hash {
        set.extend(user::hash_fields(hash));
    }
    update(set, change.is_disabled, change.ends_sessions())
}

/// The update that makes a change to a client; nothing where nothing changes.
pub(in super::super) fn of_client(change: &ClientChange) -> Document {
    update(Document::new(), change.is_disabled, change.ends_sessions())
}

/// The update that only counts that tokens are ended.
pub(in super::super) fn counted() -> Document {
    doc! { "$inc": { SESSIONS_ENDED: 1_i64 } }
}

/// What must still hold of a user or client that is removed.
pub(in super::super) fn removable(ended: u64) -> Document {
    let ended = i64::try_from(ended).unwrap_or(i64::MAX);
    doc! { "disabled": true, SESSIONS_ENDED: ended }
}

/// The fields that a standing is read of.
pub(in super::super) fn standing_fields() -> Document {
    doc! { "disabled": 1, SESSIONS_ENDED: 1 }
}

/// Reads the standing of a user, of a document that may have no more.
pub(in super::super) fn read_of_user(document: &RawDocument) -> Option<(UserId, Standing)> {
    let document = Fields::of(document);
    Some((document.record_id("_id")?, standing(&document)))
}

/// Reads the standing of a client, of a document that may have no more.
pub(in super::super) fn read_of_client(document: &RawDocument) -> Option<(ClientId, Standing)> {
    let document = Fields::of(document);
    let id = ClientId::new(document.text("client_id")?);
    Some((id, standing(&document)))
}

fn standing(document: &Fields<'_>) -> Standing {
    Standing {
        is_disabled: is_disabled(document),
        sessions_ended: sessions_ended(document),
    }
}

fn update(mut set: Document, is_disabled: Option<bool>, ends_sessions: bool) -> Document {
    if let Some(is_disabled) = is_disabled {
        set.insert("disabled", is_disabled);
    }
    let mut update = if ends_sessions {
        counted()
    } else {
        Document::new()
    };
    // The server refuses an empty one.
    if !set.is_empty() {
        update.insert("$set", set);
    }
    update
}

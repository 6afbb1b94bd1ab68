//! Documents of `users`.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, Document, RawDocument, doc};

use crate::domain::user::{HashOrigin, NewUser, PasswordHash, User, UserId};

use super::fields::Fields;
use super::{SCHEMA, SCHEMA_VERSION, binary, date, is_disabled, is_ours, sessions_ended};

/// The document of a new user. The hash is binary, as Flask-Sentinel under Python 3 reads it.
pub(in super::super) fn write(id: ObjectId, user: &NewUser) -> Document {
    doc! {
        "_id": id,
        "hashpw": binary(user.password_hash.as_str().as_bytes()),
        "username": &user.username,
        SCHEMA.as_str(): SCHEMA_VERSION,
        "created_at": date(user.created_at),
        "disabled": false,
    }
}

/// The fields of a hash made by us.
pub(in super::super) fn hash_fields(hash: &PasswordHash) -> Document {
    doc! { "hashpw": binary(hash.as_str().as_bytes()), SCHEMA.as_str(): SCHEMA_VERSION }
}

/// A hash in each type that it may be stored as.
pub(in super::super) fn hash_forms(hash: &PasswordHash) -> [Bson; 2] {
    let text = hash.as_str();
    [binary(text.as_bytes()).into(), text.into()]
}

/// Reads a user; `None` when the identifier or the name has a type nobody writes.
pub(in super::super) fn read(document: &RawDocument) -> Option<User> {
    let document = Fields::of(document);
    let id = document.record_id("_id")?;
    Some(User {
        id,
        username: document.text("username")?.to_owned(),
        password_hash: password_hash(&document),
        is_disabled: is_disabled(&document),
        sessions_ended: sessions_ended(&document),
        created_at: document
            .instant("created_at")
            .unwrap_or_else(|| id.created_at()),
    })
}

/// Reads who a user is, of a document that has only that.
pub(in super::super) fn read_name(document: &RawDocument) -> Option<(UserId, String)> {
    Some((Fields::of(document).record_id("_id")?, name(document)?))
}

/// Reads the name alone.
pub(in super::super) fn name(document: &RawDocument) -> Option<String> {
    Fields::of(document).text("username").map(ToOwned::to_owned)
}

/// Reads a hash: binary from Python 3 and from us, a string from Python 2.
fn password_hash(document: &Fields<'_>) -> Option<PasswordHash> {
    let text = match document.get("hashpw")? {
        RawBsonRef::Binary(binary) => str::from_utf8(binary.bytes).ok()?,
        RawBsonRef::String(text) => text,
        _ => return None,
    };
    let origin = if is_ours(document) {
        HashOrigin::Sentinel
    } else {
        HashOrigin::FlaskSentinel
    };
    // Anything else than modular crypt format would match no password; it is missing to us.
    text.starts_with("$2")
        .then(|| PasswordHash::new(text.to_owned(), origin))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::RawDocumentBuf;

    use super::*;

    const HASH: &str = "$2b$12$/sbqlZ5/vN16apbzXVIw9Oet/NtzJUwT47UJmAoVU4dT4aExDkvEO";

    fn document(hashpw: impl Into<Bson>) -> RawDocumentBuf {
        let id = ObjectId::parse_str("6b049213eb1acd78e9075d3b").unwrap();
        let document = doc! { "_id": id, "hashpw": hashpw.into(), "username": "jonas" };
        RawDocumentBuf::try_from(document).unwrap()
    }

    #[test]
    fn a_hash_is_read_as_binary_and_as_string() {
        for hashpw in [Bson::Binary(binary(HASH.as_bytes())), HASH.into()] {
            let user = read(&document(hashpw)).unwrap();
            let hash = user.password_hash.unwrap();
            assert_eq!(hash.as_str(), HASH);
            assert_eq!(hash.origin(), HashOrigin::FlaskSentinel);
        }
    }

    #[test]
    fn a_user_without_a_usable_hash_has_none() {
        for hashpw in [
            Bson::Null,
            Bson::Int32(7),
            Bson::Binary(binary(&[0xff, 0xfe])),
            "b'$2b$12$x'".into(),
        ] {
            assert!(read(&document(hashpw)).unwrap().password_hash.is_none());
        }
    }

    #[test]
    fn an_old_user_was_made_when_its_identifier_says() {
        let user = read(&document(HASH)).unwrap();
        assert_eq!(user.created_at, user.id.created_at());
        assert!(!user.is_disabled);
    }
}

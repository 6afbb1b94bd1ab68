//! Documents of `users`.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};

use crate::domain::user::{HashOrigin, NewUser, PasswordHash, User};

use super::{SCHEMA, SCHEMA_VERSION, binary, date, instant, is_disabled, is_ours, record_id};

/// The document of a new user. The hash is binary, as Flask-Sentinel under Python 3 reads it.
pub(in super::super) fn write(id: ObjectId, user: &NewUser) -> Document {
    doc! {
        "_id": id,
        "hashpw": binary(user.password_hash.as_str().as_bytes()),
        "username": &user.username,
        SCHEMA: SCHEMA_VERSION,
        "created_at": date(user.created_at),
        "disabled": false,
    }
}

/// The fields of a hash made by us.
pub(in super::super) fn hash_fields(hash: &PasswordHash) -> Document {
    doc! { "hashpw": binary(hash.as_str().as_bytes()), SCHEMA: SCHEMA_VERSION }
}

/// A hash in each type that it may be stored as.
pub(in super::super) fn hash_forms(hash: &PasswordHash) -> [Bson; 2] {
    let text = hash.as_str();
    [binary(text.as_bytes()).into(), text.into()]
}

/// Reads a user; `None` when the identifier or the name has a type nobody writes.
pub(in super::super) fn read(document: &Document) -> Option<User> {
    let id = record_id(document, "_id")?;
    Some(User {
        id,
        username: document.get_str("username").ok()?.to_owned(),
        password_hash: password_hash(document),
        is_disabled: is_disabled(document),
        created_at: instant(document, "created_at").unwrap_or_else(|| id.created_at()),
    })
}

/// Reads a hash: binary from Python 3 and from us, a string from Python 2.
fn password_hash(document: &Document) -> Option<PasswordHash> {
    let text = match document.get("hashpw")? {
        Bson::Binary(binary) => String::from_utf8(binary.bytes.clone()).ok()?,
        Bson::String(text) => text.clone(),
        _ => return None,
    };
    let origin = if is_ours(document) {
        HashOrigin::Sentinel
    } else {
        HashOrigin::FlaskSentinel
    };
    // Anything else than modular crypt format would match no password; it is missing to us.
    text.starts_with("$2")
        .then(|| PasswordHash::new(text, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$12$/sbqlZ5/vN16apbzXVIw9Oet/NtzJUwT47UJmAoVU4dT4aExDkvEO";

    fn document(hashpw: impl Into<Bson>) -> Document {
        let id = ObjectId::parse_str("6b049213eb1acd78e9075d3b").unwrap();
        doc! { "_id": id, "hashpw": hashpw.into(), "username": "jonas" }
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

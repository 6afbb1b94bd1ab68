//! The value of the companion key: a grant as compact JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::domain::client::ClientId;
use crate::domain::scope::Scope;
use crate::domain::token::{Grant, GrantUser, RecordId};

/// Field names are short of nothing but spaces: other programs may read them.
#[derive(Serialize, Deserialize)]
struct Companion<'t> {
    #[serde(borrow)]
    user_id: Cow<'t, str>,
    #[serde(borrow)]
    username: Cow<'t, str>,
    #[serde(borrow)]
    client_id: Cow<'t, str>,
    #[serde(borrow)]
    scope: Cow<'t, str>,
    issued_at_ms: i64,
    expires_at_ms: i64,
}

/// The JSON of a grant; `None` for one without a user, which is not kept in Redis.
pub(super) fn write(grant: &Grant) -> Option<String> {
    let user = grant.user.as_ref()?;
    let companion = Companion {
        user_id: user.id.to_string().into(),
        username: user.username.as_str().into(),
        client_id: grant.client_id.as_str().into(),
        scope: grant.scope.to_string().into(),
        issued_at_ms: millis(grant.issued_at),
        expires_at_ms: millis(grant.expires_at),
    };
    serde_json::to_string(&companion).ok()
}

/// A grant as it stands in Redis: its texts are not copied where they can be read in place.
pub struct FoundGrant<'t> {
    /// The resource owner's identifier.
    pub user_id: RecordId,
    /// The resource owner's login name.
    pub username: Cow<'t, str>,
    /// The client it was issued to.
    pub client_id: Cow<'t, str>,
    /// What it allows, in the wire form.
    pub scope: Cow<'t, str>,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// The instant from which it is no longer accepted.
    pub expires_at: OffsetDateTime,
}

/// The same as a record of its own.
pub(super) fn grant(found: FoundGrant<'_>) -> Grant {
    Grant {
        user: Some(GrantUser {
            id: found.user_id,
            username: found.username.into_owned(),
        }),
        client_id: ClientId::new(found.client_id),
        scope: found.scope.split(' ').map(str::to_owned).collect(),
        issued_at: found.issued_at,
        expires_at: found.expires_at,
    }
}

/// Reads the two values of a token. `None` unless both are there and agree on the user: a plain
/// key alone was written by another program and proves nothing.
pub(super) fn read<'t>(
    plain: Option<&[u8]>,
    companion: Option<&'t [u8]>,
) -> Option<FoundGrant<'t>> {
    let id = RecordId::parse(str::from_utf8(plain?).ok()?)?;
    let companion: Companion<'t> = serde_json::from_slice(companion?).ok()?;
    if RecordId::parse(&companion.user_id) != Some(id) {
        return None;
    }
    let scope = match companion.scope {
        Cow::Borrowed(scope) => Scope::wire_form(scope).ok()?,
        Cow::Owned(scope) => Scope::wire_form(&scope).ok()?.into_owned().into(),
    };
    Some(FoundGrant {
        user_id: id,
        username: companion.username,
        client_id: companion.client_id,
        scope,
        issued_at: instant(companion.issued_at_ms)?,
        expires_at: instant(companion.expires_at_ms)?,
    })
}

fn millis(instant: OffsetDateTime) -> i64 {
    i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn instant(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "6b049213eb1acd78e9075d3b";

    fn grant() -> Grant {
        Grant {
            user: Some(GrantUser {
                id: RecordId::parse(USER).unwrap(),
                username: "jonas \"the\" tester".to_owned(),
            }),
            client_id: ClientId::new("app"),
            scope: Scope::parse("read write").unwrap(),
            issued_at: instant(1_795_461_681_474).unwrap(),
            expires_at: instant(1_795_465_281_474).unwrap(),
        }
    }

    fn read(plain: &[u8], companion: &str) -> Option<Grant> {
        super::read(Some(plain), Some(companion.as_bytes())).map(super::grant)
    }

    #[test]
    fn a_grant_survives_its_json() {
        let text = write(&grant()).unwrap();
        assert_eq!(read(USER.as_bytes(), &text), Some(grant()));
    }

    #[test]
    fn a_grant_needs_both_keys_and_their_agreement() {
        let text = write(&grant()).unwrap();
        assert!(super::read(Some(USER.as_bytes()), None).is_none());
        assert!(super::read(None, Some(text.as_bytes())).is_none());
        assert_eq!(read(b"6b049213eb1acd78e9075d3c", &text), None);
        assert_eq!(read(b"1", &text), None);
        assert_eq!(read(USER.as_bytes(), "{}"), None);
    }

    #[test]
    fn a_scope_is_read_as_if_we_had_written_it() {
        let text = write(&grant()).unwrap();
        let of_scope = |scope| read(USER.as_bytes(), &text.replace("read write", scope));
        assert_eq!(of_scope("write read"), Some(grant()));
        assert_eq!(of_scope(r"write\u0020read"), Some(grant()));
        assert_eq!(of_scope("write  read"), None);
        assert!(of_scope("").is_some_and(|grant| grant.scope.is_empty()));
    }

    #[test]
    fn a_grant_without_a_user_has_no_companion() {
        let grant = Grant {
            user: None,
            ..grant()
        };
        assert_eq!(write(&grant), None);
    }
}

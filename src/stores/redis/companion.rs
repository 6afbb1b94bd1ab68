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

/// Reads the two values of a token. `None` unless both are there and agree on the user: a plain
/// key alone was written by another program and proves nothing.
pub(super) fn read(plain: Option<&[u8]>, companion: Option<&[u8]>) -> Option<Grant> {
    let id = RecordId::parse(str::from_utf8(plain?).ok()?)?;
    let companion: Companion<'_> = serde_json::from_slice(companion?).ok()?;
    if RecordId::parse(&companion.user_id) != Some(id) {
        return None;
    }
    Some(Grant {
        user: Some(GrantUser {
            id,
            username: companion.username.into_owned(),
        }),
        client_id: ClientId::new(companion.client_id),
        scope: Scope::parse(&companion.scope).ok()?,
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

    #[test]
    fn a_grant_survives_its_json() {
        let text = write(&grant()).unwrap();
        let read = read(Some(USER.as_bytes()), Some(text.as_bytes()));
        assert_eq!(read, Some(grant()));
    }

    #[test]
    fn a_grant_needs_both_keys_and_their_agreement() {
        let text = write(&grant()).unwrap();
        let text = Some(text.as_bytes());
        assert_eq!(read(Some(USER.as_bytes()), None), None);
        assert_eq!(read(None, text), None);
        assert_eq!(read(Some(b"6b049213eb1acd78e9075d3c"), text), None);
        assert_eq!(read(Some(b"1"), text), None);
        assert_eq!(read(Some(USER.as_bytes()), Some(b"{}")), None);
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

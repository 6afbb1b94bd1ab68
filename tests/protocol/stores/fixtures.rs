//! Records to store.

use time::{Duration, OffsetDateTime};
use warp_sentinel::domain::client::policy::ClientPolicy;
use warp_sentinel::domain::client::{Client, ClientId, ClientType, GrantType, SecretHash};
use warp_sentinel::domain::client_secret::StoredSecret;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{EndedToken, RecordId, TokenRecord};
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::domain::user::{HashOrigin, NewUser, PasswordHash, UserId};
use warp_sentinel::stores::{ExpectedRecord, TokenWrite};

pub(super) const HASH: &str = "$2b$04$/sbqlZ5/vN16apbzXVIw9Oet/NtzJUwT47UJmAoVU4dT4aExDkvEO";

/// A fixed instant with milliseconds, in 2100: nothing here has ended, so no store cleans it up.
pub(super) fn noon() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(4_102_488_000_123_000_000).unwrap()
}

/// The n-th token of a test.
pub(super) fn token(number: u32) -> TokenKey {
    TokenKey::parse(&format!("{number:030}")).unwrap()
}

/// The n-th identifier of a test.
pub(super) fn id(number: u32) -> RecordId {
    let [a, b, c, d] = number.to_be_bytes();
    RecordId([0x6b, 4, 0x92, 0x13, 0, 0, 0, 0, a, b, c, d])
}

pub(super) fn new_user(username: &str) -> NewUser {
    NewUser {
        username: username.to_owned(),
        password_hash: PasswordHash::new(HASH.to_owned(), HashOrigin::Sentinel),
        created_at: noon(),
    }
}

/// A client that uses every field.
pub(super) fn client(client_id: &str) -> Client {
    Client {
        id: ClientId::new(client_id),
        client_type: ClientType::Confidential,
        name: "A client".to_owned(),
        allowed_grant_types: vec![GrantType::Password],
        allowed_scope: Scope::parse("read write").unwrap(),
        default_scope: Scope::parse("read").unwrap(),
        policy: ClientPolicy::default(),
        secrets: vec![secret(7), secret(8)],
        is_disabled: false,
        sessions_ended: 0,
        created_at: noon(),
    }
}

/// A secret with all that is known of one.
pub(super) fn secret(number: u8) -> StoredSecret {
    StoredSecret {
        id: id(number.into()),
        hash: SecretHash([number; 32]),
        created_at: noon(),
        last_used_at: Some(noon() + Duration::minutes(number.into())),
    }
}

/// The pair of a user and `app`: tokens `number` and `number + 1`, in a family of its own.
pub(super) fn record(number: u32, user_id: UserId) -> TokenRecord {
    TokenRecord {
        id: id(number),
        access_token: token(number),
        refresh_token: Some(token(number + 1)),
        client_id: ClientId::new("app"),
        user_id: Some(user_id),
        scope: Scope::parse("read").unwrap(),
        refresh_scope: Scope::parse("read").unwrap(),
        issued_at: noon(),
        expires_at: noon() + Duration::hours(1),
        refresh_expires_at: Some(noon() + Duration::days(30)),
        family_expires_at: Some(noon() + Duration::days(30)),
        session: None,
        family: id(number),
        rotated_from: None,
        replaced: Some(token(number + 2)),
    }
}

/// The replacement of `old` by tokens `number` and `number + 1`.
pub(super) fn replacement(old: &TokenRecord, number: u32) -> TokenWrite {
    let record = TokenRecord {
        access_token: token(number),
        refresh_token: Some(token(number + 1)),
        ..old.clone()
    };
    TokenWrite::Replace {
        expected: ExpectedRecord::from(old),
        record,
    }
}

/// The removal of `old`.
pub(super) fn removal(old: &TokenRecord) -> TokenWrite {
    let expected = ExpectedRecord::from(old);
    TokenWrite::Delete { expected }
}

/// The end of a pair, at an instant, in a round of its own.
pub(super) fn end(record: &TokenRecord, ended_at: OffsetDateTime) -> EndedToken {
    EndedToken {
        access_token: record.access_token.clone(),
        refresh_token: record.refresh_token.clone(),
        family: record.family,
        ended_at,
        access_expires_at: record.expires_at,
        // Far enough away that no store forgets it during a test, whatever its clock says.
        forget_at: ended_at + Duration::days(10_000),
        round: record.id,
        is_answered: false,
        is_published: false,
    }
}

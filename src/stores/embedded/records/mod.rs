//! The stored form of each record: JSON of private structs, so `domain` knows nothing of it.

pub(super) mod ended;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::secret_rows::{SecretRow, read_secrets};
use super::tables::Millis;
use crate::domain::client::policy::{ClientPolicy, Introspection, Sessions};
use crate::domain::client::{Client, ClientId, ClientType, GrantType};
use crate::domain::scope::Scope;
use crate::domain::token::{RecordId, RotatedFrom, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::token_pair::SealedPair;
use crate::domain::user::{HashOrigin, PasswordHash, User, UserId};
use crate::stores::error::StoreError;

/// Serializes a row.
pub(super) fn encode(row: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(row).map_err(super::file::unavailable)
}

fn decode<R: DeserializeOwned>(place: &'static str, bytes: &[u8]) -> Result<R, StoreError> {
    let unreadable = |_| corrupt(place, "it is not the JSON we write");
    serde_json::from_slice(bytes).map_err(unreadable)
}

/// A record that is not as we write it.
pub(super) fn corrupt(place: &'static str, what: &'static str) -> StoreError {
    StoreError::Corrupt { place, what }
}

/// Whole milliseconds since 1970.
pub(super) fn millis(instant: OffsetDateTime) -> Millis {
    let millis = instant.unix_timestamp_nanos().div_euclid(1_000_000);
    Millis::try_from(millis).unwrap_or(Millis::MAX)
}

/// The instant of so many milliseconds since 1970; `place` is for people.
pub(super) fn instant(place: &'static str, millis: Millis) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .map_err(|_| corrupt(place, "an instant is out of range"))
}

fn token(place: &'static str, text: &str) -> Result<TokenKey, StoreError> {
    TokenKey::parse(text).ok_or_else(|| corrupt(place, "a token has a wrong shape"))
}

fn scope_row(scope: &Scope) -> Vec<String> {
    scope.iter().map(str::to_owned).collect()
}

/// A user; the identifier is the key.
#[derive(Serialize, Deserialize)]
pub(super) struct UserRow {
    username: String,
    password_hash: Option<String>,
    is_hash_of_flask_sentinel: bool,
    is_disabled: bool,
    #[serde(default)]
    sessions_ended: u64,
    created_at: Millis,
}

impl From<&User> for UserRow {
    fn from(user: &User) -> Self {
        let hash = user.password_hash.as_ref();
        Self {
            username: user.username.clone(),
            password_hash: hash.map(|hash| hash.as_str().to_owned()),
            is_hash_of_flask_sentinel: hash
                .is_some_and(|hash| hash.origin() == HashOrigin::FlaskSentinel),
            is_disabled: user.is_disabled,
            sessions_ended: user.sessions_ended,
            created_at: millis(user.created_at),
        }
    }
}

/// Reads a user.
pub(super) fn read_user(id: UserId, bytes: &[u8]) -> Result<User, StoreError> {
    let row: UserRow = decode("users", bytes)?;
    let origin = if row.is_hash_of_flask_sentinel {
        HashOrigin::FlaskSentinel
    } else {
        HashOrigin::Sentinel
    };
    Ok(User {
        id,
        username: row.username,
        password_hash: row
            .password_hash
            .map(|hash| PasswordHash::new(hash, origin)),
        is_disabled: row.is_disabled,
        sessions_ended: row.sessions_ended,
        created_at: instant("users", row.created_at)?,
    })
}

/// A client; the identifier is the key.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientRow {
    client_type: String,
    name: String,
    allowed_grant_types: Vec<String>,
    allowed_scope: Vec<String>,
    default_scope: Vec<String>,
    secrets: Vec<[u8; 32]>,
    #[serde(default)]
    secret_details: Vec<SecretRow>,
    is_disabled: bool,
    #[serde(default)]
    sessions_ended: u64,
    created_at: Millis,
    /// Not said by rows of earlier versions, as the next three.
    #[serde(default)]
    access_lifetime_secs: Option<u64>,
    #[serde(default)]
    refresh_lifetime_secs: Option<u64>,
    #[serde(default)]
    has_many_sessions: bool,
    #[serde(default)]
    introspects_any: bool,
}

impl From<&Client> for ClientRow {
    fn from(client: &Client) -> Self {
        let grant_types = client.allowed_grant_types.iter();
        Self {
            client_type: client.client_type.as_str().to_owned(),
            name: client.name.clone(),
            allowed_grant_types: grant_types.map(|kind| kind.as_str().to_owned()).collect(),
            allowed_scope: scope_row(&client.allowed_scope),
            default_scope: scope_row(&client.default_scope),
            secrets: client.secrets.iter().map(|own| own.hash.0).collect(),
            secret_details: client.secrets.iter().map(SecretRow::from).collect(),
            is_disabled: client.is_disabled,
            sessions_ended: client.sessions_ended,
            created_at: millis(client.created_at),
            access_lifetime_secs: client.policy.access_lifetime.map(|life| life.as_secs()),
            refresh_lifetime_secs: client.policy.refresh_lifetime.map(|life| life.as_secs()),
            has_many_sessions: client.policy.sessions == Sessions::Many,
            introspects_any: client.policy.introspection == Introspection::Any,
        }
    }
}

/// Reads a client.
pub(super) fn read_client(id: &str, bytes: &[u8]) -> Result<Client, StoreError> {
    let row: ClientRow = decode("clients", bytes)?;
    let unknown_type = || corrupt("clients", "its type is neither public nor confidential");
    let unknown_grant = || corrupt("clients", "a grant type is unknown");
    let grant_types = row.allowed_grant_types.iter();
    let policy = ClientPolicy {
        access_lifetime: row.access_lifetime_secs.map(Duration::from_secs),
        refresh_lifetime: row.refresh_lifetime_secs.map(Duration::from_secs),
        sessions: if row.has_many_sessions {
            Sessions::Many
        } else {
            Sessions::Single
        },
        introspection: if row.introspects_any {
            Introspection::Any
        } else {
            Introspection::Own
        },
    };
    let created_at = instant("clients", row.created_at)?;
    Ok(Client {
        id: ClientId::new(id),
        client_type: ClientType::parse(&row.client_type).ok_or_else(unknown_type)?,
        name: row.name,
        allowed_grant_types: grant_types
            .map(|kind| GrantType::parse(kind).ok_or_else(unknown_grant))
            .collect::<Result<_, _>>()?,
        allowed_scope: Scope::from_iter(row.allowed_scope),
        default_scope: Scope::from_iter(row.default_scope),
        policy,
        secrets: read_secrets(row.secrets, row.secret_details, created_at)?,
        is_disabled: row.is_disabled,
        sessions_ended: row.sessions_ended,
        created_at,
    })
}

/// A token record; the identifier is the key.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenRow {
    access_token: String,
    refresh_token: Option<String>,
    client_id: String,
    user_id: Option<[u8; 12]>,
    scope: Vec<String>,
    refresh_scope: Vec<String>,
    issued_at: Millis,
    expires_at: Millis,
    refresh_expires_at: Option<Millis>,
    family: [u8; 12],
    rotated_from: Option<(String, Millis)>,
    /// Of `rotated_from`: base64 of the pair itself for who spent the earlier one.
    #[serde(default)]
    sealed: Option<String>,
    #[serde(default)]
    replaced: Option<String>,
    #[serde(default)]
    session: Option<[u8; 12]>,
    /// Said where it is not that of the refresh token.
    #[serde(default)]
    family_expiry: Option<FamilyExpiry>,
}

/// When a family ends, however often it is refreshed; `None` is never.
#[derive(Serialize, Deserialize)]
struct FamilyExpiry(Option<Millis>);

impl From<&TokenRecord> for TokenRow {
    fn from(record: &TokenRecord) -> Self {
        let text = |token: &TokenKey| token.expose().to_owned();
        let spent = record.rotated_from.as_ref();
        let sealed = spent.and_then(|spent| spent.sealed.as_ref());
        Self {
            access_token: text(&record.access_token),
            refresh_token: record.refresh_token.as_ref().map(text),
            client_id: record.client_id.as_str().to_owned(),
            user_id: record.user_id.map(|id| id.0),
            scope: scope_row(&record.scope),
            refresh_scope: scope_row(&record.refresh_scope),
            issued_at: millis(record.issued_at),
            expires_at: millis(record.expires_at),
            refresh_expires_at: record.refresh_expires_at.map(millis),
            family: record.family.0,
            rotated_from: spent.map(|spent| (text(&spent.refresh_token), millis(spent.at))),
            sealed: sealed.map(|sealed| STANDARD.encode(&sealed.0)),
            replaced: record.replaced.as_ref().map(text),
            session: record.session.map(|id| id.0),
            family_expiry: (record.family_expires_at != record.refresh_expires_at)
                .then(|| FamilyExpiry(record.family_expires_at.map(millis))),
        }
    }
}

/// Reads a token record.
pub(super) fn read_token(id: RecordId, bytes: &[u8]) -> Result<TokenRecord, StoreError> {
    const PLACE: &str = "tokens";
    let row: TokenRow = decode(PLACE, bytes)?;
    let sealed = row.sealed.as_ref().map(|text| STANDARD.decode(text));
    let sealed = sealed
        .transpose()
        .map_err(|_| corrupt(PLACE, "a pair is not base64"))?;
    let rotated_from = |(text, at): (String, Millis)| {
        Ok::<_, StoreError>(RotatedFrom {
            refresh_token: token(PLACE, &text)?,
            at: instant(PLACE, at)?,
            sealed: sealed.map(|bytes| SealedPair(bytes.into())),
        })
    };
    let at = |millis: Option<Millis>| millis.map(|at| instant(PLACE, at)).transpose();
    let refresh_expires_at = at(row.refresh_expires_at)?;
    let family_expires_at = match row.family_expiry {
        Some(FamilyExpiry(said)) => at(said)?,
        None => refresh_expires_at,
    };
    Ok(TokenRecord {
        id,
        access_token: token(PLACE, &row.access_token)?,
        refresh_token: row
            .refresh_token
            .map(|text| token(PLACE, &text))
            .transpose()?,
        client_id: ClientId::new(row.client_id),
        user_id: row.user_id.map(RecordId),
        scope: Scope::from_iter(row.scope),
        refresh_scope: Scope::from_iter(row.refresh_scope),
        issued_at: instant(PLACE, row.issued_at)?,
        expires_at: instant(PLACE, row.expires_at)?,
        refresh_expires_at,
        family_expires_at,
        session: row.session.map(RecordId),
        family: RecordId(row.family),
        rotated_from: row.rotated_from.map(rotated_from).transpose()?,
        replaced: row.replaced.map(|text| token(PLACE, &text)).transpose()?,
    })
}

//! Sessions that are written straight into a store, as if their users had logged in.

use time::{Duration, OffsetDateTime};
use warp_sentinel::clock::Clock;
use warp_sentinel::crypto::{random, token_keys};
use warp_sentinel::domain::client::policy::ClientPolicy;
use warp_sentinel::domain::client::{Client, ClientId, ClientType, GrantType};
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{RotatedFrom, TokenRecord};
use warp_sentinel::domain::token_key::{TokenKey, TokenStorage};
use warp_sentinel::domain::user::{HashOrigin, NewUser, PasswordHash, UserId};
use warp_sentinel::stores::token_conversion::KeptTokens;
use warp_sentinel::stores::{TokenWrite, Truth};

use super::Outcome;

/// Most users there are; more sessions are with more clients. A user is a write of its own.
const USERS: usize = 256;
/// Sessions per round trip.
const GROUP: usize = 1_000;
const ACCESS_LIFETIME: Duration = Duration::hours(1);
const REFRESH_LIFETIME: Duration = Duration::days(14);

/// The tokens of one user and client.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Whom they were issued to.
    pub(crate) client_id: String,
    /// What is verified.
    pub(crate) access_token: String,
    /// What is refreshed.
    pub(crate) refresh_token: String,
}

/// Writes `count` sessions, all of different users or clients.
///
/// # Errors
/// What the store says.
pub(crate) async fn write(truth: &Truth, count: usize) -> Outcome<Vec<Session>> {
    let now = Clock::default().now();
    let clients = insert_clients(truth, count.div_ceil(USERS), now).await?;
    let users = insert_users(truth, count.min(USERS), now).await?;
    let pairs = clients
        .iter()
        .flat_map(|client| users.iter().map(move |user| (client, *user)));
    let records: Vec<TokenRecord> = pairs
        .take(count)
        .map(|(client, user)| record(client, user, now))
        .collect();
    let is_hashed = truth.conversion.kept_tokens().await? == KeptTokens::All(TokenStorage::Hashed);
    let kept = |record: &TokenRecord| {
        if is_hashed {
            token_keys::hashed_record(record, now)
        } else {
            record.clone()
        }
    };
    for group in records.chunks(GROUP) {
        let writes: Vec<TokenWrite> = group.iter().map(kept).map(TokenWrite::Insert).collect();
        if truth.tokens.write(&writes).await?.contains(&false) {
            return Err("a session could not be written".into());
        }
    }
    Ok(records.iter().filter_map(session).collect())
}

async fn insert_clients(
    truth: &Truth,
    count: usize,
    now: OffsetDateTime,
) -> Outcome<Vec<ClientId>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let client = Client {
            id: random::client_id(),
            client_type: ClientType::Public,
            name: "load".to_owned(),
            allowed_grant_types: GrantType::DEFAULT.to_vec(),
            allowed_scope: Scope::default(),
            default_scope: Scope::default(),
            policy: ClientPolicy::default(),
            secrets: Vec::new(),
            is_disabled: false,
            sessions_ended: 0,
            created_at: now,
        };
        truth.clients.insert_client(&client).await?;
        ids.push(client.id);
    }
    Ok(ids)
}

async fn insert_users(truth: &Truth, count: usize, now: OffsetDateTime) -> Outcome<Vec<UserId>> {
    // Nobody logs in: it is there for its length.
    let hash = bcrypt::hash("pass", 4)?;
    let mut ids = Vec::new();
    for number in 0..count {
        let user = NewUser {
            username: format!("user-{number}@example.com"),
            password_hash: PasswordHash::new(hash.clone(), HashOrigin::Sentinel),
            created_at: now,
        };
        ids.push(truth.users.insert_user(&user).await?.id);
    }
    Ok(ids)
}

// As it is after a refresh, which has more fields than after a login.
fn record(client: &ClientId, user: UserId, now: OffsetDateTime) -> TokenRecord {
    let id = random::record_id(now);
    TokenRecord {
        id,
        access_token: token_key(),
        refresh_token: Some(token_key()),
        client_id: client.clone(),
        user_id: Some(user),
        scope: Scope::default(),
        refresh_scope: Scope::default(),
        issued_at: now,
        expires_at: now + ACCESS_LIFETIME,
        refresh_expires_at: Some(now + REFRESH_LIFETIME),
        family_expires_at: Some(now + REFRESH_LIFETIME),
        session: None,
        family: id,
        rotated_from: Some(RotatedFrom {
            refresh_token: token_key(),
            at: now,
            sealed: None,
        }),
        replaced: Some(token_key()),
    }
}

fn session(record: &TokenRecord) -> Option<Session> {
    Some(Session {
        client_id: record.client_id.to_string(),
        access_token: record.access_token.expose().to_owned(),
        refresh_token: record.refresh_token.as_ref()?.expose().to_owned(),
    })
}

fn token_key() -> TokenKey {
    TokenKey::plain(random::token_value())
}

//! What the stores promise of users and clients, and what may be changed of them.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::error::{InsertError, StoreError};
use crate::domain::client::{Client, ClientId};
use crate::domain::client_secret::{SecretId, StoredSecret};
use crate::domain::standing::Standing;
use crate::domain::user::{NewUser, PasswordHash, User, UserId};

/// What is of one name: nobody, a user, or what cannot be read.
pub type FoundUser = Result<Option<User>, StoreError>;

/// Users: read at each login, since another server may change them at any moment.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// The users of these names, compared byte for byte. A record that cannot be read is an error of
    /// its own name alone.
    async fn find_users(&self, usernames: &[String]) -> Result<Vec<FoundUser>, StoreError>;

    /// The user of this name, compared byte for byte.
    async fn find_user(&self, username: &str) -> Result<Option<User>, StoreError> {
        let found = self.find_users(&[username.to_owned()]).await?;
        found.into_iter().next().unwrap_or(Ok(None))
    }

    /// The users of these identifiers.
    async fn find_users_by_id(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError>;

    /// Stores a new user; at most one of any number of servers succeeds with a name.
    async fn insert_user(&self, user: &NewUser) -> Result<User, InsertError>;

    /// Puts a new hash of the same password in the place of `old`, if that is still there.
    async fn replace_password_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError>;

    /// Makes a change, and gives the user as it is then; `None` where there is none. A change that
    /// ends its sessions counts them in the same write.
    async fn update_user(
        &self,
        id: UserId,
        change: &UserChange,
    ) -> Result<Option<User>, StoreError>;

    /// Removes a user that is disabled and whose sessions were ended just so often, so that none is
    /// removed who may have tokens. Tells whether there is no such user any more.
    async fn delete_user(&self, id: UserId, sessions_ended: u64) -> Result<bool, StoreError>;

    /// Whether these users may have tokens now.
    async fn find_user_standings(
        &self,
        ids: &[UserId],
    ) -> Result<Vec<Option<Standing>>, StoreError>;

    /// Up to `limit` users by identifier, those after `after`.
    async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError>;

    /// How many users there are, by the store's own cheap count.
    async fn count_users(&self) -> Result<u64, StoreError>;
}

/// Clients.
#[async_trait]
pub trait ClientStore: Send + Sync {
    /// The client of this identifier.
    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError>;

    /// Stores a new client.
    async fn insert_client(&self, client: &Client) -> Result<(), InsertError>;

    /// Makes a change, and gives the client as it is then; `None` where there is none. A change that
    /// ends its sessions counts them in the same write.
    async fn update_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
    ) -> Result<Option<Client>, StoreError>;

    /// Removes a client that is disabled and whose sessions were ended just so often, so that none
    /// is removed that may have tokens. Tells whether there is no such client any more.
    async fn delete_client(&self, id: &ClientId, sessions_ended: u64) -> Result<bool, StoreError>;

    /// Counts for each client that its sessions are ended.
    async fn count_end_of_all_sessions(&self) -> Result<(), StoreError>;

    /// Puts secrets in the place of those that were read, if the client still has just those. Tells
    /// whether it was done.
    async fn replace_secrets(
        &self,
        id: &ClientId,
        old: &[StoredSecret],
        new: &[StoredSecret],
    ) -> Result<bool, StoreError>;

    /// Notes when a secret was used. One that is gone is no error, and a note may be lost.
    async fn note_secret_use(
        &self,
        id: &ClientId,
        secret: SecretId,
        at: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// Whether these clients may have tokens now.
    async fn find_client_standings(
        &self,
        ids: &[ClientId],
    ) -> Result<Vec<Option<Standing>>, StoreError>;

    /// Up to `limit` clients by client identifier, those after `after`.
    async fn list_clients(
        &self,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, StoreError>;

    /// How many clients there are, by the store's own cheap count.
    async fn count_clients(&self) -> Result<u64, StoreError>;
}

/// A change of a user. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Whether it is refused everywhere.
    pub is_disabled: Option<bool>,
    /// The hash of a new password.
    pub password_hash: Option<PasswordHash>,
    /// Whether to count that its tokens are ended although nothing else changes.
    pub is_signed_out: bool,
}

/// A change of a client. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ClientChange {
    /// Whether it is refused everywhere.
    pub is_disabled: Option<bool>,
    /// Whether to count that its tokens are ended although nothing else changes.
    pub is_signed_out: bool,
}

impl UserChange {
    /// Whether the tokens it had before it end with this change.
    pub fn ends_sessions(&self) -> bool {
        self.is_signed_out || self.is_disabled == Some(true) || self.password_hash.is_some()
    }
}

impl ClientChange {
    /// Whether the tokens it had before it end with this change.
    pub fn ends_sessions(&self) -> bool {
        self.is_signed_out || self.is_disabled == Some(true)
    }
}

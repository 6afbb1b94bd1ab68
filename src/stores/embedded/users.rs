//! Users in the file.

use std::ops::Bound;

use async_trait::async_trait;
use redb::{
    AccessGuard, ReadTransaction, ReadableTable, ReadableTableMetadata, StorageError, Table,
    WriteTransaction,
};
use time::OffsetDateTime;

use super::EmbeddedStore;
use super::file::unavailable;
use super::records::{UserRow, corrupt, encode, read_user};
use super::tables::{Id, Row, USERNAMES, USERS};
use crate::domain::standing::Standing;
use crate::domain::token::RecordId;
use crate::domain::user::{NewUser, PasswordHash, User, UserId};
use crate::stores::error::{InsertError, StoreError};
use crate::stores::users_and_clients::{FoundUser, UserChange, UserStore};

#[async_trait]
impl UserStore for EmbeddedStore {
    async fn find_users(&self, usernames: &[String]) -> Result<Vec<FoundUser>, StoreError> {
        self.read(|transaction| {
            let names = transaction.open_table(USERNAMES)?;
            let users = transaction.open_table(USERS)?;
            let of_name = |username: &String| {
                let Some(id) = names.get(username.as_str())? else {
                    return Ok(Ok(None));
                };
                let id = RecordId(*id.value());
                let lost = || corrupt("users", "its name leads to no record");
                let row = users.get(&id.0)?;
                let user = row.map_or_else(|| Err(lost()), |row| read_user(id, row.value()));
                Ok(user.map(Some))
            };
            // What the file does not give is an error of all, so that the file is mended.
            usernames.iter().map(of_name).collect()
        })
        .await
    }

    async fn find_users_by_id(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.read(|transaction| find_by_id(transaction, ids)).await
    }

    async fn insert_user(&self, user: &NewUser) -> Result<User, InsertError> {
        let user = User {
            id: new_id(user.created_at)?,
            username: user.username.clone(),
            password_hash: Some(user.password_hash.clone()),
            is_disabled: false,
            sessions_ended: 0,
            created_at: user.created_at,
        };
        self.transact(move |transaction| {
            if insert(transaction, &user)? {
                Ok(user)
            } else {
                Err(InsertError::Taken)
            }
        })
        .await
    }

    async fn replace_password_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError> {
        let (old, new) = (old.clone(), new.clone());
        self.transact(move |transaction| replace_hash(transaction, id, &old, new))
            .await
    }

    async fn update_user(
        &self,
        id: UserId,
        change: &UserChange,
    ) -> Result<Option<User>, StoreError> {
        let change = change.clone();
        self.transact(move |transaction| update(transaction, id, change))
            .await
    }

    async fn delete_user(&self, id: UserId, sessions_ended: u64) -> Result<bool, StoreError> {
        self.transact(move |transaction| delete(transaction, id, sessions_ended))
            .await
    }

    async fn find_user_standings(
        &self,
        ids: &[UserId],
    ) -> Result<Vec<Option<Standing>>, StoreError> {
        let users = self.find_users_by_id(ids).await?.into_iter();
        Ok(users.map(|user| Some(user?.standing())).collect())
    }

    async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        self.scan(move |transaction| {
            let users = transaction.open_table(USERS)?;
            let start = match &after {
                Some(id) => Bound::Excluded(&id.0),
                None => Bound::Unbounded,
            };
            users
                .range::<&[u8; 12]>((start, Bound::Unbounded))?
                .take(limit)
                .map(read_row)
                .collect()
        })
        .await
    }

    async fn count_users(&self) -> Result<u64, StoreError> {
        self.read(|transaction| Ok(transaction.open_table(USERS)?.len()?))
            .await
    }
}

type Entry<'a> = (AccessGuard<'a, Id>, AccessGuard<'a, Row>);

fn read_row(row: Result<Entry<'_>, StorageError>) -> Result<User, StoreError> {
    let (id, bytes) = row?;
    read_user(RecordId(*id.value()), bytes.value())
}

fn find_by_id(
    transaction: &ReadTransaction,
    ids: &[UserId],
) -> Result<Vec<Option<User>>, StoreError> {
    let users = transaction.open_table(USERS)?;
    ids.iter()
        .map(|id| {
            let row = users.get(&id.0)?;
            row.map(|bytes| read_user(*id, bytes.value())).transpose()
        })
        .collect()
}

/// Whether the name was free and the user is stored.
fn insert(transaction: &WriteTransaction, user: &User) -> Result<bool, StoreError> {
    let mut names = transaction.open_table(USERNAMES)?;
    if names.get(user.username.as_str())?.is_some() {
        return Ok(false);
    }
    names.insert(user.username.as_str(), &user.id.0)?;
    let row = encode(&UserRow::from(user))?;
    transaction
        .open_table(USERS)?
        .insert(&user.id.0, row.as_slice())?;
    Ok(true)
}

/// Puts the new hash in the place of the old, if that is still there.
fn replace_hash(
    transaction: &WriteTransaction,
    id: UserId,
    old: &PasswordHash,
    new: PasswordHash,
) -> Result<(), StoreError> {
    let mut users = transaction.open_table(USERS)?;
    let Some(user) = find(&users, id)? else {
        return Ok(());
    };
    let own = user.password_hash.as_ref().map(PasswordHash::as_str);
    if own == Some(old.as_str()) {
        let password_hash = Some(new);
        let row = encode(&UserRow::from(&User {
            password_hash,
            ..user
        }))?;
        users.insert(&id.0, row.as_slice())?;
    }
    Ok(())
}

fn find(users: &Table<'_, Id, Row>, id: UserId) -> Result<Option<User>, StoreError> {
    let row = users.get(&id.0)?;
    row.map(|row| read_user(id, row.value())).transpose()
}

/// Makes a change, and gives the user as it is then.
fn update(
    transaction: &WriteTransaction,
    id: UserId,
    change: UserChange,
) -> Result<Option<User>, StoreError> {
    let mut users = transaction.open_table(USERS)?;
    let Some(mut user) = find(&users, id)? else {
        return Ok(None);
    };
    user.sessions_ended += u64::from(change.ends_sessions());
    user.is_disabled = change.is_disabled.unwrap_or(user.is_disabled);
    user.password_hash = change.password_hash.or(user.password_hash);
    let row = encode(&UserRow::from(&user))?;
    users.insert(&id.0, row.as_slice())?;
    Ok(Some(user))
}

/// Removes a user that is disabled and whose sessions were ended just so often, and tells whether
/// it is there no more.
fn delete(
    transaction: &WriteTransaction,
    id: UserId,
    sessions_ended: u64,
) -> Result<bool, StoreError> {
    let mut users = transaction.open_table(USERS)?;
    let Some(user) = find(&users, id)? else {
        return Ok(true);
    };
    if !user.is_disabled || user.sessions_ended != sessions_ended {
        return Ok(false);
    }
    users.remove(&id.0)?;
    let mut names = transaction.open_table(USERNAMES)?;
    names.remove(user.username.as_str())?;
    Ok(true)
}

/// An identifier as MongoDB's driver would make it: four bytes of seconds, eight of chance.
fn new_id(now: OffsetDateTime) -> Result<UserId, StoreError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(unavailable)?;
    let seconds = u32::try_from(now.unix_timestamp()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    Ok(RecordId(bytes))
}

//! Clients in the file.

use std::ops::Bound;

use async_trait::async_trait;
use redb::{
    AccessGuard, Durability, ReadableTable, ReadableTableMetadata, StorageError, Table,
    WriteTransaction,
};
use time::OffsetDateTime;

use super::EmbeddedStore;
use super::records::{ClientRow, encode, read_client};
use super::tables::{CLIENTS, Row};
use crate::domain::client::{Client, ClientId};
use crate::domain::client_secret::{SecretId, StoredSecret};
use crate::domain::standing::Standing;
use crate::stores::error::{InsertError, StoreError};
use crate::stores::users_and_clients::{ClientChange, ClientStore};

#[async_trait]
impl ClientStore for EmbeddedStore {
    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.read(|transaction| find(&transaction.open_table(CLIENTS)?, id))
            .await
    }

    async fn insert_client(&self, client: &Client) -> Result<(), InsertError> {
        let client = client.clone();
        self.transact(move |transaction| {
            if insert(transaction, &client)? {
                Ok(())
            } else {
                Err(InsertError::Taken)
            }
        })
        .await
    }

    async fn update_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
    ) -> Result<Option<Client>, StoreError> {
        let (id, change) = (id.clone(), change.clone());
        self.transact(move |transaction| {
            let mut clients = transaction.open_table(CLIENTS)?;
            let Some(mut client) = find(&clients, &id)? else {
                return Ok(None);
            };
            client.sessions_ended += u64::from(change.ends_sessions());
            client.is_disabled = change.is_disabled.unwrap_or(client.is_disabled);
            put(&mut clients, &client)?;
            Ok(Some(client))
        })
        .await
    }

    async fn delete_client(&self, id: &ClientId, sessions_ended: u64) -> Result<bool, StoreError> {
        let id = id.clone();
        self.transact(move |transaction| {
            let mut clients = transaction.open_table(CLIENTS)?;
            let Some(client) = find(&clients, &id)? else {
                return Ok(true);
            };
            let is_removable = client.is_disabled && client.sessions_ended == sessions_ended;
            if is_removable {
                clients.remove(id.as_str())?;
            }
            Ok(is_removable)
        })
        .await
    }

    async fn count_end_of_all_sessions(&self) -> Result<(), StoreError> {
        self.transact(|transaction| {
            let mut clients = transaction.open_table(CLIENTS)?;
            let all: Vec<Client> = clients.iter()?.map(read_row).collect::<Result<_, _>>()?;
            for mut client in all {
                client.sessions_ended += 1;
                put(&mut clients, &client)?;
            }
            Ok(())
        })
        .await
    }

    async fn replace_secrets(
        &self,
        id: &ClientId,
        old: &[StoredSecret],
        new: &[StoredSecret],
    ) -> Result<bool, StoreError> {
        let (id, new) = (id.clone(), new.to_vec());
        let hashes = |secrets: &[StoredSecret]| -> Vec<[u8; 32]> {
            secrets.iter().map(|secret| secret.hash.0).collect()
        };
        let as_read = hashes(old);
        self.transact(move |transaction| {
            let mut clients = transaction.open_table(CLIENTS)?;
            let found = find(&clients, &id)?;
            let Some(mut client) = found.filter(|found| hashes(&found.secrets) == as_read) else {
                return Ok(false);
            };
            client.secrets = new;
            put(&mut clients, &client)?;
            Ok(true)
        })
        .await
    }

    async fn note_secret_use(
        &self,
        id: &ClientId,
        secret: SecretId,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.transact_with(Durability::None, move |transaction| {
            let mut clients = transaction.open_table(CLIENTS)?;
            let Some(mut client) = find(&clients, &id)? else {
                return Ok(());
            };
            let used = client.secrets.iter_mut().find(|own| own.id == secret);
            if let Some(used) = used {
                used.last_used_at = used.last_used_at.max(Some(at));
                put(&mut clients, &client)?;
            }
            Ok(())
        })
        .await
    }

    async fn find_client_standings(
        &self,
        ids: &[ClientId],
    ) -> Result<Vec<Option<Standing>>, StoreError> {
        self.read(|transaction| {
            let clients = transaction.open_table(CLIENTS)?;
            let standing = |id: &ClientId| {
                let client = find(&clients, id)?;
                Ok(client.map(|client| client.standing()))
            };
            ids.iter().map(standing).collect()
        })
        .await
    }

    async fn list_clients(
        &self,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, StoreError> {
        let after = after.cloned();
        self.scan(move |transaction| {
            let clients = transaction.open_table(CLIENTS)?;
            let start = match &after {
                Some(id) => Bound::Excluded(id.as_str()),
                None => Bound::Unbounded,
            };
            clients
                .range::<&str>((start, Bound::Unbounded))?
                .take(limit)
                .map(read_row)
                .collect()
        })
        .await
    }

    async fn count_clients(&self) -> Result<u64, StoreError> {
        self.read(|transaction| Ok(transaction.open_table(CLIENTS)?.len()?))
            .await
    }
}

type Entry<'a> = (AccessGuard<'a, &'static str>, AccessGuard<'a, Row>);

fn read_row(row: Result<Entry<'_>, StorageError>) -> Result<Client, StoreError> {
    let (id, bytes) = row?;
    read_client(id.value(), bytes.value())
}

fn find(
    clients: &impl ReadableTable<&'static str, Row>,
    id: &ClientId,
) -> Result<Option<Client>, StoreError> {
    let row = clients.get(id.as_str())?;
    row.map(|bytes| read_client(id.as_str(), bytes.value()))
        .transpose()
}

fn put(clients: &mut Table<'_, &'static str, Row>, client: &Client) -> Result<(), StoreError> {
    let row = encode(&ClientRow::from(client))?;
    clients.insert(client.id.as_str(), row.as_slice())?;
    Ok(())
}

/// Whether the identifier was free and the client is stored.
fn insert(transaction: &WriteTransaction, client: &Client) -> Result<bool, StoreError> {
    let mut clients = transaction.open_table(CLIENTS)?;
    if clients.get(client.id.as_str())?.is_some() {
        return Ok(false);
    }
    put(&mut clients, client)?;
    Ok(true)
}

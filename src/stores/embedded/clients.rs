//! Clients in the file.

use std::ops::Bound;

use async_trait::async_trait;
use redb::{AccessGuard, ReadableTable, ReadableTableMetadata, StorageError, WriteTransaction};

use super::EmbeddedStore;
use super::records::{ClientRow, encode, read_client};
use super::tables::CLIENTS;
use crate::domain::client::{Client, ClientId};
use crate::stores::ClientStore;
use crate::stores::error::{InsertError, StoreError};

#[async_trait]
impl ClientStore for EmbeddedStore {
    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.read(|transaction| {
            let row = transaction.open_table(CLIENTS)?.get(id.as_str())?;
            row.map(|bytes| read_client(id.as_str(), bytes.value()))
                .transpose()
        })
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

type Row<'a> = (
    AccessGuard<'a, &'static str>,
    AccessGuard<'a, &'static [u8]>,
);

fn read_row(row: Result<Row<'_>, StorageError>) -> Result<Client, StoreError> {
    let (id, bytes) = row?;
    read_client(id.value(), bytes.value())
}

/// Whether the identifier was free and the client is stored.
fn insert(transaction: &WriteTransaction, client: &Client) -> Result<bool, StoreError> {
    let mut clients = transaction.open_table(CLIENTS)?;
    if clients.get(client.id.as_str())?.is_some() {
        return Ok(false);
    }
    let row = encode(&ClientRow::from(client))?;
    clients.insert(client.id.as_str(), row.as_slice())?;
    Ok(true)
}

//! The embedded store: the truth in one file on disk, for one machine.
//!
//! Each batch of writes is one redb transaction that is synced to disk before it is answered, so a
//! batch shares one sync. After `kill -9` the next opening repairs the file to its last commit.
//! What has expired is removed in small pieces by the writes that come later.
//!
//! Writes and scans run on the blocking pool. A few point reads take about a microsecond each from
//! the cache or the system's page cache, less than the hop to another thread, so they run inline.
//!
//! Dropping a future does not stop its write: a transaction is done whole or not at all.
//!
//! What does not live here: the cache in front of it (`actors`).

mod attempts;
mod clients;
mod ends;
mod file;
mod reader;
mod records;
mod secret_rows;
mod secrets;
mod sessions;
mod tables;
#[cfg(test)]
mod tests;
mod token_conversion;
mod token_tables;
mod tokens;
mod users;

use std::path::Path;
use std::sync::Arc;

use redb::{Durability, ReadTransaction, WriteTransaction};
use time::OffsetDateTime;

use super::Truth;
use super::error::{OpenError, StoreError};
use crate::clock::Clock;
use file::File;

/// Opens the file at `path`, or makes it (0600, its folder 0700), and repairs it after a crash.
///
/// # Errors
/// [`OpenError::Unusable`] when another process uses the file, when it cannot be read or written,
/// or when it is not one of ours.
pub fn open(path: &Path, clock: &Clock) -> Result<Truth, OpenError> {
    let store = Arc::new(EmbeddedStore {
        file: Arc::new(File::open(path)?),
        clock: clock.clone(),
    });
    Ok(Truth {
        users: Arc::<EmbeddedStore>::clone(&store),
        clients: Arc::<EmbeddedStore>::clone(&store),
        tokens: Arc::<EmbeddedStore>::clone(&store),
        attempts: Arc::<EmbeddedStore>::clone(&store),
        secrets: Arc::<EmbeddedStore>::clone(&store),
        conversion: store,
    })
}

/// Keeps every part of the contract on one file.
struct EmbeddedStore {
    file: Arc<File>,
    clock: Clock,
}

impl EmbeddedStore {
    /// Reads a few records inline. A read that fails since a write failed before (see
    /// [`File::mend`]) mends the file for those that come after it.
    async fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let answer = self.file.begin_read().and_then(|t| read(&t));
        if let Err(StoreError::Unavailable { .. }) = answer {
            let file = Arc::clone(&self.file);
            let mending = tokio::task::spawn_blocking(move || file.mend());
            mending.await.map_err(file::unavailable)??;
        }
        answer
    }

    /// Reads many records on the blocking pool.
    async fn scan<T: Send + 'static>(
        &self,
        scan: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || scan(&file.begin_read()?))
            .await
            .map_err(file::unavailable)?
    }

    /// Runs one write transaction on the blocking pool. It is synced to disk when this answers
    /// `Ok`, and nothing of it happened when `write` answers `Err`.
    async fn transact<T, E>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.transact_with(Durability::Immediate, write).await
    }

    /// As [`EmbeddedStore::transact`]; without durability a crash may lose it, as a whole.
    async fn transact_with<T, E>(
        &self,
        durability: Durability,
        write: impl FnOnce(&WriteTransaction) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || {
            let transaction = file.begin_write(durability)?;
            let answer = write(&transaction)?;
            file::commit(transaction)?;
            Ok(answer)
        })
        .await
        .map_err(file::unavailable)?
    }

    fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

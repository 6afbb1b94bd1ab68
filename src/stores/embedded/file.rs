//! The one file: opened, locked, mended, and its transactions begun and committed.

use std::error::Error;
use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{
    CommitError, Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase,
    SetDurabilityError, StorageError, TableError, TransactionError, WriteTransaction,
};
use tracing::warn;

use super::tables;
use crate::stores::error::{OpenError, StoreError};

/// Pages that redb keeps. The system's page cache stands behind it, so little is enough, and an
/// idle server stays small.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Opens the database, the first time and after a failed write.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The database and how to open it again.
pub(super) struct File {
    opener: Opener,
    /// `None` between a failure and the next successful opening.
    database: RwLock<Option<Arc<Database>>>,
}

impl File {
    /// Opens the file or makes it, and takes it for this process alone.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        create_folder(path).map_err(|error| unusable(path, &error))?;
        let own_path = path.to_owned();
        Self::open_with(path, Box::new(move || open_database(&own_path)))
    }

    /// Opens it by `opener`; `path` is for people.
    pub(super) fn open_with(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let database = match opener() {
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(unusable(path, &"another sentinel process uses it"));
            }
            answer => answer.map_err(|error| unusable(path, &error))?,
        };
        let file = Self {
            opener,
            database: RwLock::new(Some(Arc::new(database))),
        };
        let format = file
            .format()
            .map_err(|error| unusable(path, &in_full(&error)))?;
        if ![tables::PLAIN_FORMAT, tables::FORMAT].contains(&format) {
            let own = tables::FORMAT;
            let reason = format!("its format is {format}, this program reads {own}");
            return Err(unusable(path, &reason));
        }
        Ok(file)
    }

    /// The version of the file's format; a new file is given its tables. What is there already is
    /// not written again: a start would have to wait for the disk.
    fn format(&self) -> Result<u64, StoreError> {
        if let Some(format) = tables::find_format(&self.begin_read()?)? {
            return Ok(format);
        }
        let transaction = self.begin_write(Durability::Immediate)?;
        let format = tables::create_all(&transaction)?;
        commit(transaction)?;
        Ok(format)
    }

    /// Begins to read the last commit. Waits for nobody but a reopening.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.database()?.begin_read()?)
    }

    /// Begins to write, once the transaction before has ended. Blocks.
    pub(super) fn begin_write(
        &self,
        durability: Durability,
    ) -> Result<WriteTransaction, StoreError> {
        let begin = |database: Arc<Database>| begin(&database, durability);
        match self.database().and_then(begin) {
            // After a failed write (a full disk, say) redb serves nothing until it is opened
            // again, which goes back to the last commit.
            Err(StoreError::Unavailable { .. }) => self.reopen().and_then(begin),
            transaction => transaction,
        }
    }

    /// Opens the file again if a write has failed since it was opened. Blocks.
    pub(super) fn mend(&self) -> Result<(), StoreError> {
        self.begin_write(Durability::Immediate).map(drop)
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || unavailable(StorageError::DatabaseClosed);
        database.as_ref().map(Arc::clone).ok_or_else(closed)
    }

    fn reopen(&self) -> Result<Arc<Database>, StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = database.as_ref()
            && begin(current, Durability::Immediate).is_ok()
        {
            return Ok(Arc::clone(current));
        }
        // Dropped before it is opened again, or its own lock would be in the way.
        drop(database.take());
        let opened = Arc::new((self.opener)().map_err(unavailable)?);
        warn!(
            store.op = "reopen",
            "the embedded store was opened again after a failed write"
        );
        *database = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

/// Makes what was written last through a loss of power.
pub(super) fn commit(transaction: WriteTransaction) -> Result<(), StoreError> {
    Ok(transaction.commit()?)
}

/// Wraps the cause of a failed read or write.
pub(super) fn unavailable(cause: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable {
        store: "embedded",
        source: Box::new(cause),
    }
}

fn begin(database: &Database, durability: Durability) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    Ok(transaction)
}

fn create_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)
        }
        _ => Ok(()),
    }
}

fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    let is_new = !path.exists();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    // Tokens are in it, so a file that came here with wider rights loses them.
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    empty_if_unfinished(&file)?;
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(FileBackend::new(file)?)?;
    if is_new && let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
        // Without it the new file's name may not survive a loss of power.
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(database)
}

/// Empties a file whose making was cut short. redb writes its first bytes last, so where they are
/// missing there was never a commit; it would refuse such a file for ever.
fn empty_if_unfinished(file: &fs::File) -> io::Result<()> {
    // Another process that is making the file now holds this lock.
    if starts_with_zeros(file)? && file.try_lock().is_ok() {
        if starts_with_zeros(file)? {
            file.set_len(0)?;
        }
        file.unlock()?;
    }
    Ok(())
}

fn starts_with_zeros(file: &fs::File) -> io::Result<bool> {
    let mut start = [0; 9];
    if file.metadata()?.len() < 9 {
        return Ok(false);
    }
    file.read_exact_at(&mut start, 0)?;
    Ok(start == [0; 9])
}

fn unusable(path: &Path, reason: &dyn Display) -> OpenError {
    let path = path.display();
    OpenError::Unusable(format!(
        "the embedded store {path} cannot be used: {reason}"
    ))
}

fn in_full(error: &StoreError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(_) => Self::Corrupt {
                place: "the embedded store's file",
                what: "it is damaged",
            },
            other => unavailable(other),
        }
    }
}

impl From<TableError> for StoreError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(storage) => storage.into(),
            other => unavailable(other),
        }
    }
}

impl From<TransactionError> for StoreError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(storage) => storage.into(),
            other => unavailable(other),
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(storage) => storage.into(),
            other => unavailable(other),
        }
    }
}

impl From<SetDurabilityError> for StoreError {
    fn from(error: SetDurabilityError) -> Self {
        unavailable(error)
    }
}

//! A disk that is full for a while.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};

use super::*;
use crate::stores::UserStore;

/// A file that takes no byte while `is_full`.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn open_on(path: &Path, is_full: &Arc<AtomicBool>) -> EmbeddedStore {
    let (own_path, is_full) = (path.to_owned(), Arc::clone(is_full));
    let opener = move || {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&own_path)?;
        // Without a cache each read asks the disk.
        Database::builder()
            .set_cache_size(0)
            .create_with_backend(Disk {
                file: FileBackend::new(file)?,
                is_full: Arc::clone(&is_full),
            })
    };
    EmbeddedStore {
        file: Arc::new(File::open_with(path, Box::new(opener)).unwrap()),
        clock: Clock::default(),
    }
}

async fn insert(store: &EmbeddedStore, name: &str) -> bool {
    let user = NewUser {
        username: name.to_owned(),
        password_hash: PasswordHash::new(String::new(), HashOrigin::Sentinel),
        created_at: store.clock.now(),
    };
    match store.insert_user(&user).await {
        Ok(_) => true,
        Err(InsertError::Store(StoreError::Unavailable { .. })) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn writes_fail_while_the_disk_is_full_and_work_afterwards() {
    let folder = TempDir::new().unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let store = open_on(&folder.path().join("sentinel.redb"), &is_full);
    assert!(insert(&store, "before").await);

    is_full.store(true, Ordering::Relaxed);
    assert!(!insert(&store, "during").await);
    assert!(!insert(&store, "during").await);

    is_full.store(false, Ordering::Relaxed);
    assert!(insert(&store, "after").await);
    assert!(store.find_user("before").await.unwrap().is_some());
    assert!(store.find_user("during").await.unwrap().is_none());
}

#[tokio::test]
async fn reads_alone_mend_the_file_too() {
    let folder = TempDir::new().unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let store = open_on(&folder.path().join("sentinel.redb"), &is_full);
    assert!(insert(&store, "before").await);
    is_full.store(true, Ordering::Relaxed);
    assert!(!insert(&store, "during").await);
    assert!(!insert(&store, "during").await);
    is_full.store(false, Ordering::Relaxed);

    // The first may fail; it is the one that mends.
    let _ = store.find_user("before").await;
    assert!(store.find_user("before").await.unwrap().is_some());
}

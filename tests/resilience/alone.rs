//! Tests that load the machine or measure times run one after the other.

use tokio::sync::{Mutex, MutexGuard};

static ALONE: Mutex<()> = Mutex::const_new(());

/// Waits until no other such test runs; none begins while the guard lives.
pub(crate) async fn serial() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

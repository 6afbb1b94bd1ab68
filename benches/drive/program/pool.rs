//! Things of which each has one user at a time.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A pool: whoever waits first gets what comes back first.
pub(crate) struct Pool<T> {
    free: Mutex<VecDeque<Arc<T>>>,
    permits: Semaphore,
}

/// One thing of a pool, until it is dropped.
pub(crate) struct Taken<'p, T> {
    thing: Arc<T>,
    pool: &'p Pool<T>,
    // It goes after the thing is back.
    _permit: SemaphorePermit<'p>,
}

impl<T> Pool<T> {
    /// A pool of `things`.
    pub(crate) fn new(things: impl IntoIterator<Item = Arc<T>>) -> Self {
        let free: VecDeque<_> = things.into_iter().collect();
        Self {
            permits: Semaphore::new(free.len()),
            free: Mutex::new(free),
        }
    }

    /// Waits for one of them; for ever, if there is none.
    #[expect(clippy::expect_used, reason = "there are as many permits as things")]
    pub(crate) async fn take(&self) -> Taken<'_, T> {
        let permit = self.permits.acquire().await.expect("nobody closes it");
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        Taken {
            thing: free.pop_front().expect("a permit is a thing"),
            pool: self,
            _permit: permit,
        }
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.thing
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push_back(Arc::clone(&self.thing));
    }
}

//! Whether a server still has the data that it had when it was trusted.
//!
//! A primary that follows another one for a moment is emptied and gets the data of that one, in
//! which ended tokens may live. It tells us that it was emptied, as it does for a plain flush.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult};
use thiserror::Error;

use crate::stores::error::StoreError;

use super::STORE;
use super::identity::allowed;

/// The data are those of another server.
#[derive(Debug, Error)]
#[error("it has got the data of another server since it was trusted")]
struct OtherData;

/// The history of the data, as it was when the connection was made.
#[derive(Debug)]
pub(super) struct History {
    /// `None` where our user may not ask: then the data are others after each flush.
    id: Option<String>,
    /// How often the server was emptied.
    emptied: Arc<AtomicU64>,
    /// How many of those times were only flushes.
    flushed: AtomicU64,
}

impl History {
    pub(super) async fn ask(
        link: &mut MultiplexedConnection,
        emptied: Arc<AtomicU64>,
    ) -> RedisResult<Self> {
        let info = allowed::<String>(link, WORDS).await?;
        Ok(Self {
            id: info.as_deref().and_then(id),
            emptied,
            flushed: AtomicU64::new(0),
        })
    }

    /// What names it; `None` where our user may not ask.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How often the server was emptied, if that has to be looked into.
    pub(super) fn is_doubtful(&self) -> Option<u64> {
        let emptied = self.emptied.load(Ordering::Acquire);
        (emptied != self.flushed.load(Ordering::Acquire)).then_some(emptied)
    }

    /// What to ask then.
    pub(super) fn command() -> Cmd {
        super::identity::command(WORDS)
    }

    /// Fails unless the answer shows that the data have the same history.
    pub(super) fn check(&self, emptied: u64, info: &str) -> Result<(), StoreError> {
        if self.id.is_none() || self.id.as_deref() != id(info).as_deref() {
            return Err(StoreError::Unavailable {
                store: STORE,
                source: OtherData.into(),
            });
        }
        self.flushed.store(emptied, Ordering::Release);
        Ok(())
    }
}

const WORDS: &[&str] = &["INFO", "replication"];

/// Changes when a server follows another one, and when it no longer does.
fn id(info: &str) -> Option<String> {
    let mut lines = info.lines();
    let id = lines.find_map(|line| line.strip_prefix("master_replid:"));
    id.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(id: Option<&str>) -> History {
        History {
            id: id.map(str::to_owned),
            emptied: Arc::new(AtomicU64::new(1)),
            flushed: AtomicU64::new(0),
        }
    }

    #[test]
    fn a_flush_is_looked_into_once() {
        let history = history(Some("a"));
        let emptied = history.is_doubtful().unwrap();
        history
            .check(emptied, "role:master\r\nmaster_replid:a\r\n")
            .unwrap();
        assert_eq!(history.is_doubtful(), None);
    }

    #[test]
    fn data_of_another_history_or_of_none_are_others() {
        for (ours, told) in [
            (Some("a"), "master_replid:b"),
            (None, "master_replid:a"),
            (Some("a"), ""),
        ] {
            let history = history(ours);
            assert!(history.check(1, told).is_err());
            assert_eq!(history.is_doubtful(), Some(1));
        }
    }
}

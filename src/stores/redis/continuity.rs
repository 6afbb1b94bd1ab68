//! Whether a connection goes on where an earlier one to the same server ended, so that nothing that
//! was true then can have become untrue unheard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::RedisConnection;

/// What a later connection is compared with.
#[derive(Clone, Debug)]
pub struct Continuity {
    /// The server process.
    server: String,
    /// The history of its data.
    history: String,
    unconfirmed: Arc<AtomicUsize>,
}

/// Changes that were begun over a connection and not confirmed. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Unconfirmed(Arc<AtomicUsize>);

/// A change that has been begun. Without [`Begun::confirm`] it stays unconfirmed: an error, a panic or
/// nobody who waits any more tells nothing of what the server did.
#[must_use]
#[derive(Debug)]
pub struct Begun(Arc<AtomicUsize>);

impl Unconfirmed {
    pub(super) fn begin(&self) -> Begun {
        self.0.fetch_add(1, Ordering::AcqRel);
        Begun(Arc::clone(&self.0))
    }
}

impl Begun {
    /// All of it was carried out, or is known not to have been.
    pub fn confirm(self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl RedisConnection {
    /// Notes that a change of several steps begins.
    pub fn begin(&self) -> Begun {
        self.unconfirmed().begin()
    }

    /// What tells whether a later connection goes on from this one; `None` where the server does not
    /// tell enough.
    pub fn continuity(&self) -> Option<Continuity> {
        let server = self.id()?.server().to_owned();
        let history = self.history()?.id()?.to_owned();
        let unconfirmed = Arc::clone(&self.unconfirmed().0);
        Some(Continuity {
            server,
            history,
            unconfirmed,
        })
    }

    /// Whether this connection goes on from `earlier`, which was the predecessor when this one was
    /// made: the same process has the same data, it has ended the predecessor, and it had confirmed
    /// every change that was begun over it. To be asked once this connection is there: what is begun
    /// over an ended one is never carried out.
    pub fn continues(&self, earlier: &Continuity) -> bool {
        self.has_ended_predecessor()
            && self
                .continuity()
                .is_some_and(|own| own.server == earlier.server && own.history == earlier.history)
            && earlier.unconfirmed.load(Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_confirmed_stays_in_doubt() {
        let unconfirmed = Unconfirmed::default();
        unconfirmed.begin().confirm();
        assert_eq!(unconfirmed.0.load(Ordering::Acquire), 0);
        drop(unconfirmed.begin());
        assert_eq!(unconfirmed.0.load(Ordering::Acquire), 1);
    }
}

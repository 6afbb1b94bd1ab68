//! Which session a request is sent for.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::kind::{Kind, Use};
use super::mix::Mix;
use super::pool::{Pool, Taken};
use super::session::Session;

/// The sessions, dealt by what requests do to them.
pub(crate) struct Sessions {
    reading: Ring,
    rotating: Pool<Session>,
    // Empty when others keep their tokens in the same sessions.
    replacing: Ring,
    /// Whether there are too few to give each use its own.
    pub(crate) is_shared: bool,
}

/// Sessions that are used in turns.
struct Ring {
    sessions: Vec<Arc<Session>>,
    turns: AtomicUsize,
}

/// A session, until the request for it is done.
pub(crate) enum Turn<'s> {
    /// Nobody else changes it.
    Alone(Taken<'s, Session>),
    /// Others may use it as well.
    Among(Arc<Session>),
}

impl Sessions {
    /// Deals `all` to the uses of the mix in turns.
    pub(crate) fn deal(all: &[Arc<Session>], mix: &Mix) -> Self {
        let uses: BTreeSet<Use> = mix.kinds().map(Kind::usage).collect();
        let is_shared = all.len() < uses.len();
        let of = |wanted: Use| -> Vec<Arc<Session>> {
            let Some(place) = uses.iter().position(|own| *own == wanted) else {
                return Vec::new();
            };
            let dealt = all.iter().enumerate();
            dealt
                .filter(|(index, _)| is_shared || index % uses.len() == place)
                .map(|(_, session)| Arc::clone(session))
                .collect()
        };
        let rotating = if is_shared {
            all.to_vec()
        } else {
            of(Use::Rotates)
        };
        let replacing = if is_shared {
            Vec::new()
        } else {
            of(Use::Replaces)
        };
        Self {
            reading: Ring::of(of(Use::Reads)),
            rotating: Pool::new(rotating),
            replacing: Ring::of(replacing),
            is_shared,
        }
    }

    /// Waits for a session that a request of this kind may use.
    pub(crate) async fn take(&self, kind: Kind) -> Turn<'_> {
        match kind.usage() {
            Use::Reads => Turn::Among(self.reading.next()),
            Use::Replaces if !self.is_shared => Turn::Among(self.replacing.next()),
            Use::Replaces | Use::Rotates => Turn::Alone(self.rotating.take().await),
        }
    }

    /// Whether a refused token of such a session is lost, and not merely older than another one.
    pub(crate) fn may_repair(&self, kind: Kind) -> bool {
        match kind.usage() {
            Use::Reads => !self.is_shared,
            Use::Rotates => true,
            Use::Replaces => false,
        }
    }
}

impl Ring {
    fn of(sessions: Vec<Arc<Session>>) -> Self {
        let turns = AtomicUsize::new(0);
        Self { sessions, turns }
    }

    fn next(&self) -> Arc<Session> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.sessions[turn % self.sessions.len()])
    }
}

impl Deref for Turn<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        match self {
            Self::Alone(taken) => taken,
            Self::Among(session) => session,
        }
    }
}

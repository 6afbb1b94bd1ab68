//! The live picture of the tree: what each actor is at now, read without asking it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::actors::handle::Lanes;

/// One actor of the tree as the console shows it.
#[derive(Clone, Debug)]
pub struct ActorPicture {
    /// Its name, such as `token_cache.0`.
    pub name: String,
    /// Whether it takes messages now.
    pub is_running: bool,
    /// How often it was started again.
    pub restarts: u64,
    /// Calls in its mailbox or in the air.
    pub in_flight: usize,
    /// Most calls it takes before it sheds.
    pub bound: usize,
}

/// Reads the live picture of the tree. Cheap to clone.
#[derive(Clone, Default)]
pub struct Picture(Arc<OnceLock<Vec<Named>>>);

pub(super) type Named = (String, Arc<ChildStatus>);

impl Picture {
    /// Names the actors, once.
    pub(super) fn fill(&self, actors: Vec<Named>) {
        let _already_filled = self.0.set(actors);
    }

    /// Waits until no actor has a call in flight.
    pub(super) async fn idle(&self) {
        for (_, status) in self.0.get().into_iter().flatten() {
            status.lanes.idle().await;
        }
    }

    /// Each actor in the order of their start.
    pub fn actors(&self) -> Vec<ActorPicture> {
        let children = self.0.get().map(Vec::as_slice).unwrap_or_default();
        children
            .iter()
            .map(|(name, status)| status.picture(name))
            .collect()
    }
}

impl ChildStatus {
    /// A child that is not started yet, and is called over these lanes.
    pub(super) fn new(lanes: Lanes) -> Self {
        Self {
            is_running: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
            lanes,
        }
    }

    pub(super) fn note_up(&self) {
        self.is_running.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_down(&self) {
        self.is_running.store(false, Ordering::Relaxed);
    }

    pub(super) fn note_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.note_up();
    }

    fn picture(&self, name: &str) -> ActorPicture {
        ActorPicture {
            name: name.to_owned(),
            is_running: self.is_running.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            in_flight: self.lanes.in_flight(),
            bound: self.lanes.bound(),
        }
    }
}

/// The live picture of one actor.
pub(super) struct ChildStatus {
    is_running: AtomicBool,
    restarts: AtomicU64,
    lanes: Lanes,
}

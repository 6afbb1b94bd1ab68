//! What tests see of a running server beyond its answers, and what they do to it.

use super::Sentinel;
use crate::actors::supervisor::faults::{Moment, PlannedPanic};
use crate::actors::supervisor::picture::ActorPicture;
use crate::clock::Clock;

impl Sentinel {
    /// Lets an actor panic the next `times` that a moment comes; `None` when there is none of that
    /// name. For tests of supervision; a release build never does it.
    #[doc(hidden)]
    pub async fn plan_panic(
        &self,
        name: &str,
        moment: Moment,
        times: usize,
    ) -> Option<PlannedPanic> {
        let tree = self.0.tree.lock().await;
        tree.as_ref()?.plan_panic(name, moment, times)
    }

    /// The live picture of the actors, for tests.
    #[doc(hidden)]
    pub fn actors(&self) -> Vec<ActorPicture> {
        self.0.handles.management.actors()
    }

    /// The clock of this server, for tests.
    #[doc(hidden)]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

//! The supervision tree in the JSON API.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::actors::supervisor::picture::ActorPicture;

/// One actor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActorRecord {
    /// Its name, such as `token_cache.0`.
    pub name: String,
    /// `running` or `down`.
    pub state: Cow<'static, str>,
    /// How often it was started again.
    pub restarts: u64,
    /// Calls in its mailbox or in the air.
    pub in_flight: usize,
    /// Most calls it takes before it sheds.
    pub bound: usize,
}

impl From<ActorPicture> for ActorRecord {
    fn from(picture: ActorPicture) -> Self {
        let state = if picture.is_running {
            "running"
        } else {
            "down"
        };
        Self {
            name: picture.name,
            state: Cow::Borrowed(state),
            restarts: picture.restarts,
            in_flight: picture.in_flight,
            bound: picture.bound,
        }
    }
}

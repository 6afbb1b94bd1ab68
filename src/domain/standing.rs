//! Whether a user or client may have tokens now, and whether those it was given before still count.

use super::client::ClientId;
use super::user::UserId;

/// What of a user or client decides whether a token may live that was issued on what was read of it.
/// Two readings that are equal and enabled have nothing between them that ended its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is refused everywhere.
    pub is_disabled: bool,
    /// How often all of its tokens were ended: counted before they are looked for.
    pub sessions_ended: u64,
}

impl Standing {
    /// Whether what was issued on `earlier` may live, now that this is the standing.
    pub fn confirms(self, earlier: u64) -> bool {
        !self.is_disabled && self.sessions_ended == earlier
    }
}

/// Whose tokens are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionsOf {
    /// Those of one user, at whatever client.
    User(UserId),
    /// Those of one client, whoever its users are.
    Client(ClientId),
    /// All there are.
    Everyone,
}

//! The way of look-ups to the actor of a shard, in which they gather.

use std::time::Duration;

use super::CacheError;
use super::flight::LookUp;
use super::live_token::LiveToken;
use super::shard::message::TokenCacheMessage;
use crate::actors::batch::Gathering;
use crate::actors::handle::{AskError, Handle, within};
use crate::domain::token_key::TokenKey;

/// The longest a verification waits.
const VERIFY_DEADLINE: Duration = Duration::from_millis(250);

/// Asks the actor of one shard for tokens.
pub(super) struct LookUps {
    pub(super) actor: Handle<TokenCacheMessage>,
    /// Those that go to Redis next.
    pub(super) gathering: Gathering<LookUp>,
}

impl LookUps {
    /// What a token stands for, or `None` when it is unknown, ended or expired.
    ///
    /// # Errors
    /// As [`super::TokenCache::verify`].
    pub(super) async fn find(&self, token: &TokenKey) -> Result<Option<LiveToken>, CacheError> {
        let deadline = within(VERIFY_DEADLINE);
        let message = |call| self.gathering.push(call).map(TokenCacheMessage::LookUp);
        let ask = || self.actor.ask(token.clone(), deadline, message);
        let asked = self.actor.asked();
        match ask().await {
            // A look-up changes nothing, so it is asked again of the restarted actor; once, or one
            // that makes its actor panic would spend the budget of restarts alone.
            Err(AskError::Gone) => {
                self.actor.wait_for_successor(asked, deadline).await;
                ask().await?
            }
            answer => answer?,
        }
    }
}

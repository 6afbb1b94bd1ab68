//! Ending all tokens of a user, of a client, or of everyone.
//!
//! The pairs are listed by page and their logins ended in rounds as any other job: what is rotated
//! between the two is found by its login, and a login that came in its place stays. Whoever counts the
//! end before (`stores::users_and_clients`) keeps those in flight from adding one.

use std::collections::HashSet;
use std::time::Duration;

use super::TokenIssuer;
use super::actor::TokenIssuerMessage;
use super::error::IssueError;
use super::job::{Job, unfinished};
use crate::actors::handle::{AskError, within};
use crate::domain::standing::SessionsOf;
use crate::domain::token::{EndedToken, FamilyId};
use crate::domain::token_key::TokenKey;
use crate::stores::Ends;
use crate::stores::redis::connection::Publication;

/// The longest it takes to end the tokens of a client or of everyone, of which there may be a hundred
/// thousand. What is done until then stays done.
const DEADLINE_OF_MANY: Duration = Duration::from_secs(20);
/// Pairs that one round ends, so that refreshes hardly wait for it.
const PAGE: usize = 256;

impl TokenIssuer {
    /// Ends all pairs that are there when it is called: in the truth, in Redis and in the local
    /// copies. The end must have been counted before. To repeat it is safe, and finishes what an
    /// earlier call, of this server or of one that was killed, has left. Gives how many pairs it found.
    ///
    /// # Errors
    /// [`IssueError::Overloaded`]; [`IssueError::Unavailable`] when some may live on until the call is
    /// repeated.
    pub async fn end_sessions(&self, of: &SessionsOf) -> Result<usize, IssueError> {
        let deadline = match of {
            SessionsOf::User(_) => super::DEADLINE,
            SessionsOf::Client(_) | SessionsOf::Everyone => DEADLINE_OF_MANY,
        };
        let ended = tokio::time::timeout(deadline, self.end_pages(of)).await;
        ended.unwrap_or_else(|_elapsed| Err(AskError::Timeout.into()))
    }

    async fn end_pages(&self, of: &SessionsOf) -> Result<usize, IssueError> {
        let tokens = &self.flight.truth.tokens;
        let mut after = None;
        let mut count = 0;
        loop {
            let page = tokens.list_sessions(of, after, PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.id);
            count += page.len();
            let families: HashSet<FamilyId> = page.iter().map(|record| record.family).collect();
            let families: Vec<FamilyId> = families.into_iter().collect();
            let message = |call| TokenIssuerMessage::Job(Job::EndFamilies(call));
            self.endings
                .ask(families, within(super::DEADLINE), message)
                .await??;
        }
        self.publish_ends().await?;
        Ok(count)
    }

    // What a server that died had ended, or one without Redis, is not among the pairs any more. It
    // is not known whose it was; all of it is to go from Redis anyway.
    async fn publish_ends(&self) -> Result<(), IssueError> {
        let flight = &self.flight;
        if !flight.caches.has_redis() {
            return Ok(());
        }
        if !flight.caches.is_connected() {
            return Err(unfinished());
        }
        let tokens = &flight.truth.tokens;
        let now = flight.clock.now();
        let mut after: Option<EndedToken> = None;
        loop {
            let page = tokens
                .list_ends(Ends::Unpublished, now, after.as_ref(), PAGE)
                .await?;
            let ended: Vec<TokenKey> = page.iter().map(|end| end.access_token.clone()).collect();
            let Some(last) = page.into_iter().last() else {
                return Ok(());
            };
            // An end is remembered before it happens; who is about to do it tells Redis.
            let present = tokens.find_present(&ended).await?;
            let is_gone = |token: &TokenKey| !present.contains(token);
            let gone: Vec<TokenKey> = ended.into_iter().filter(is_gone).collect();
            let change = Publication {
                set: Vec::new(),
                delete: gone.clone(),
            };
            for outcome in flight.caches.publish(vec![change]).await {
                outcome?;
            }
            tokens.settle_ends(&[], &gone).await?;
            after = Some(last);
        }
    }
}

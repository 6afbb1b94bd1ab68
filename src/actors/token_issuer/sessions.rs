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
use crate::stores::ends::{Ends, SettledEnds};
use crate::stores::redis::connection::Publication;

/// The longest it takes to end the tokens of a client or of everyone, of which there may be a hundred
/// thousand. What is done until then stays done.
const DEADLINE_OF_MANY: Duration = Duration::from_secs(20);
/// Pairs that one round ends, so that refreshes hardly wait for it.
const PAGE: usize = 256;
/// Ends of which Redis is told at a time.
const ENDS: usize = 1_000;

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
        let mut after = None;
        loop {
            let page = tokens
                .list_ends(Ends::Unpublished, now, after.as_ref(), PAGE)
                .await?;
            for some in page.ends.chunks(ENDS) {
                self.publish_page(some).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn publish_page(&self, ends: &[EndedToken]) -> Result<(), IssueError> {
        let tokens = &self.flight.truth.tokens;
        let token = |end: &&EndedToken| end.access_token.clone();
        let mut gone: Vec<&EndedToken> = ends.iter().collect();
        let ended: Vec<TokenKey> = gone.iter().map(token).collect();
        // An end is remembered before it happens; who is about to do it tells Redis.
        let present = tokens.find_present(&ended).await?;
        gone.retain(|end| !present.contains(&end.access_token));
        let change = Publication {
            set: Vec::new(),
            delete: gone.iter().map(token).collect(),
        };
        for outcome in self.flight.caches.publish(vec![change]).await {
            outcome?;
        }
        Ok(tokens.settle_ends(&SettledEnds::published(gone)).await?)
    }
}

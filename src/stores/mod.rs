//! What the stores promise. The truth (MongoDB, or one file on disk) keeps [`UserStore`],
//! [`ClientStore`], [`TokenStore`], [`AttemptStore`] and [`SecretStore`]; Redis keeps the fast copy of
//! live tokens.
//!
//! Every decision that must be made once is one conditional operation here: a unique name, the
//! single use of a refresh token, one live pair for a user and client. Batches keep their order:
//! the n-th answer belongs to the n-th question. A write that answers `Ok` is durable (majority
//! and journaled in MongoDB, synced to disk in the file), but for counts of attempts. Methods have the
//! drivers' deadlines; the caller adds its own.
//!
//! What does not live here: which tokens are live (`domain`), who waits for whom (`actors`).

pub mod embedded;
pub mod ends;
pub mod error;
pub mod files;
pub mod mongo;
pub mod redis;
pub mod token_conversion;
pub mod users_and_clients;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::domain::attempt::{AttemptOutcome, AttemptRequest, Reservation, Reserved};
use crate::domain::client::ClientId;
use crate::domain::standing::SessionsOf;
use crate::domain::token::{EndedToken, FamilyId, Grant, RecordId, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::user::UserId;
use ends::{Ends, EndsMark, EndsPage, SettledRounds};
use error::{SettleError, StoreError};
use token_conversion::TokenConversion;
use users_and_clients::{ClientStore, UserStore};

/// The truth, as one value to hand on.
#[derive(Clone)]
pub struct Truth {
    /// Users.
    pub users: Arc<dyn UserStore>,
    /// Clients.
    pub clients: Arc<dyn ClientStore>,
    /// Token pairs and the memory of their ends.
    pub tokens: Arc<dyn TokenStore>,
    /// Counts of failed logins.
    pub attempts: Arc<dyn AttemptStore>,
    /// Secrets that all servers share.
    pub secrets: Arc<dyn SecretStore>,
    /// How tokens are kept.
    pub conversion: Arc<dyn TokenConversion>,
}

/// A conditional write of one token record.
#[derive(Clone, Debug)]
pub enum TokenWrite {
    /// Stores a record where the user and client have none of its `session`.
    Insert(TokenRecord),
    /// Puts `record` in the place of the one that was read, if it is still as it was read.
    Replace {
        /// What must still be there.
        expected: ExpectedRecord,
        /// What comes in its place, under the same identifier.
        record: TokenRecord,
    },
    /// Removes the record that was read, if it is still as it was read.
    Delete {
        /// What must still be there.
        expected: ExpectedRecord,
    },
}

/// Names one record in one state: what a conditional write is conditional on.
#[derive(Clone, Debug)]
pub struct ExpectedRecord {
    /// Identifier of the record.
    pub id: RecordId,
    /// Its access token when it was read.
    pub access_token: TokenKey,
    /// Its refresh token when it was read.
    pub refresh_token: Option<TokenKey>,
}

impl From<&TokenRecord> for ExpectedRecord {
    fn from(record: &TokenRecord) -> Self {
        Self {
            id: record.id,
            access_token: record.access_token.clone(),
            refresh_token: record.refresh_token.clone(),
        }
    }
}

/// Token pairs and the memory of their ends.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// What these access tokens stand for: `None` when there is no such token, or its user or
    /// client is gone or disabled. An expired token is still told, with its `expires_at`.
    async fn find_grants(&self, tokens: &[TokenKey]) -> Result<Vec<Option<Grant>>, StoreError>;

    /// The records of these access tokens, whatever became of their users.
    async fn find_by_access_token(
        &self,
        tokens: &[TokenKey],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError>;

    /// Those of these access tokens that have a record, whatever became of their users.
    async fn find_present(&self, tokens: &[TokenKey]) -> Result<HashSet<TokenKey>, StoreError> {
        let found = self.find_by_access_token(tokens).await?;
        let records = found.into_iter().flatten();
        Ok(records.map(|record| record.access_token).collect())
    }

    /// The records whose present refresh token, or the one spent for it (`rotated_from`), is
    /// among these. The present one wins.
    async fn find_by_refresh_token(
        &self,
        tokens: &[TokenKey],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError>;

    /// The record of each user and client that may be the only one: without a `session`.
    async fn find_by_session(
        &self,
        sessions: &[(ClientId, UserId)],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError>;

    /// All records of these families.
    async fn find_by_family(&self, families: &[FamilyId]) -> Result<Vec<TokenRecord>, StoreError>;

    /// Up to `limit` records of a user, of a client or of all, by identifier, those after `after`.
    async fn list_sessions(
        &self,
        of: &SessionsOf,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError>;

    /// Does each write whose condition holds, and tells for each whether it was done. A record
    /// that another write replaced right after may be told as not done.
    async fn write(&self, writes: &[TokenWrite]) -> Result<Vec<bool>, StoreError>;

    /// Remembers ends, before the writes that bring them about: all of a round at once, and the same
    /// round twice is once.
    async fn remember_ends(&self, ends: &[EndedToken]) -> Result<(), StoreError> {
        self.remember_and_settle(ends, &SettledRounds::new()).await
    }

    /// Remembers ends as [`TokenStore::remember_ends`], and notes at the same time what became of
    /// earlier ones as [`TokenStore::settle_ends`].
    async fn remember_and_settle(
        &self,
        ends: &[EndedToken],
        rounds: &SettledRounds,
    ) -> Result<(), StoreError>;

    /// The remembered ends of these refresh tokens. One that several rounds remember, since all but
    /// one of them wanted it in vain, is settled if it is in any.
    async fn find_ends(
        &self,
        refresh_tokens: &[TokenKey],
    ) -> Result<Vec<Option<EndedToken>>, StoreError>;

    /// Notes what became of remembered ends. A note without `answered` ones may be lost in a crash.
    async fn settle_ends(&self, rounds: &SettledRounds) -> Result<(), StoreError>;

    /// The remembered ends of these families of which the fast copy may not have been told.
    async fn find_unpublished_ends(
        &self,
        families: &[FamilyId],
    ) -> Result<Vec<EndedToken>, StoreError>;

    /// Makes certain that what is read after this shows all that was acknowledged before it, also
    /// by another server of the store: fails where that cannot be told. It costs a write; without
    /// it a read may be behind while the store changes its primary.
    async fn confirm(&self) -> Result<(), StoreError>;

    /// Remembered ends of access tokens that had not expired by `now`, of up to `limit` rounds after
    /// `after`. A store that keeps each end by itself takes each for a round. An end is remembered before
    /// it happens, so a live token may be among them.
    async fn list_ends(
        &self,
        which: Ends,
        now: OffsetDateTime,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError>;

    /// Up to `limit` records of access tokens that had not expired by `now`, the latest expiry
    /// first, those after `after`.
    async fn list_live(
        &self,
        now: OffsetDateTime,
        after: Option<&TokenRecord>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError>;

    /// Whether the store can be reached now, and is still kept as when it was opened.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Counts of attempts that failed or are under way, for all servers. One that is lost in a crash of
/// the store costs a few guesses more, so in MongoDB the primary alone confirms them: no login waits
/// for its members. What has ended is removed in time.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// Counts attempts before their outcome is known: under each key as many as its limit leaves
    /// room for, of any number of servers that ask. The keys differ from each other.
    async fn reserve_attempts(
        &self,
        requests: &[AttemptRequest],
    ) -> Result<Vec<Reserved>, StoreError>;

    /// Keeps what was counted through a crash of this process: so that nobody waits for it, it is done
    /// while the passwords are hashed. A store of its own keeps it anyway.
    async fn keep_attempts(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Notes how attempts ended, and how many of them: those whose window is over count no more. Each
    /// is noted by itself; one that is not counts as failed. To note one twice would forgive failures
    /// that came since, or count those there were again.
    ///
    /// # Errors
    /// [`SettleError`] tells which may be noted again.
    async fn settle_attempts(
        &self,
        ended: &[(Reservation, AttemptOutcome, u32)],
    ) -> Result<(), SettleError>;
}

/// Secrets that every server on this store shares, such as the key of the console's forms.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The secret of this name; `candidate` becomes it when there is none yet.
    async fn find_or_insert_secret(
        &self,
        name: &'static str,
        candidate: [u8; 32],
    ) -> Result<[u8; 32], StoreError>;
}

//! One connection to a Redis server or cluster, and what is asked of it.
//!
//! After any error the caller drops the connection and makes a new one: a reply that came too
//! late could be taken for the answer to another question, and that answer would be another user.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value};
use time::OffsetDateTime;

use crate::domain::token::Grant;
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;

use super::cluster::Layout;
use super::companion::FoundGrant;
use super::continuity::Unconfirmed;
use super::history::History;
use super::identity::{ConnectionId, Probe, allowed};
use super::slot::slot_of;
use super::transaction::{Fullness, Transaction, is_too_much};
use super::{companion, diagnosis, keys, store_error};

/// What becomes visible in Redis at once.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// The tokens that are live from now on.
    pub set: Vec<(TokenKey, Grant)>,
    /// The tokens that are no longer.
    pub delete: Vec<TokenKey>,
}

/// A connection. Clones share it.
#[derive(Clone)]
pub struct RedisConnection {
    link: Link,
    traits: Traits,
    fullness: Arc<Fullness>,
    unconfirmed: Unconfirmed,
}

/// What was found out about a connection when it was made.
#[derive(Clone)]
pub(super) struct Traits {
    pub(super) tracks_changes: bool,
    pub(super) probe: Probe,
    pub(super) id: Option<ConnectionId>,
    /// Whether the server certainly ended the connection that was used before.
    pub(super) has_ended_predecessor: bool,
    /// `None` for a cluster, which tells nothing.
    pub(super) history: Option<Arc<History>>,
    /// `None` but for a cluster.
    pub(super) layout: Option<Arc<Layout>>,
}

/// The driver's connection.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl RedisConnection {
    pub(super) fn new(link: Link, traits: Traits) -> Self {
        Self {
            link,
            traits,
            fullness: Arc::default(),
            unconfirmed: Unconfirmed::default(),
        }
    }

    /// How the server names this connection, so that a successor can end it; `None` where it
    /// does not tell.
    pub fn id(&self) -> Option<&ConnectionId> {
        self.traits.id.as_ref()
    }

    pub(super) fn history(&self) -> Option<&History> {
        self.traits.history.as_deref()
    }

    pub(super) fn has_ended_predecessor(&self) -> bool {
        self.traits.has_ended_predecessor
    }

    pub(super) fn unconfirmed(&self) -> &Unconfirmed {
        &self.unconfirmed
    }

    /// Whether changes of what was read over this connection are told. If not, what was read may
    /// be kept for a moment only.
    pub fn tracks_changes(&self) -> bool {
        self.traits.tracks_changes
    }

    /// Whether the server had no memory for a token since this was asked last.
    pub fn has_refused(&self) -> bool {
        self.fullness.take()
    }

    /// The same connection, with more time for each answer.
    #[must_use]
    pub fn with_deadline(mut self, response: Duration) -> Self {
        // A cluster connection keeps the deadline that it was made with.
        if let Link::Single(link) = &mut self.link {
            link.set_response_timeout(response);
        }
        self
    }

    /// Whether the server certainly has no key at all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let Link::Single(mut link) = self.link.clone() else {
            return Ok(false);
        };
        let keys = allowed::<u64>(&mut link, &["DBSIZE"]).await;
        Ok(keys.map_err(store_error)? == Some(0))
    }

    /// The grants of these tokens, in their order. `None` where Redis does not prove one: no key,
    /// a key of another program, a companion that does not fit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn find_many<'t>(
        &self,
        tokens: impl IntoIterator<Item = &'t TokenKey>,
    ) -> Result<Vec<Option<Grant>>, StoreError> {
        self.find_each(tokens, companion::grant).await
    }

    /// What `keep` makes of the grants of these tokens; else as [`RedisConnection::find_many`].
    ///
    /// # Errors
    /// As [`RedisConnection::find_many`].
    pub async fn find_each<'t, K>(
        &self,
        tokens: impl IntoIterator<Item = &'t TokenKey>,
        keep: impl Fn(FoundGrant<'_>) -> K,
    ) -> Result<Vec<Option<K>>, StoreError> {
        let get = keys::look_up(tokens);
        if get.args_iter().len() == 1 {
            return Ok(Vec::new());
        }
        // The cluster connection cuts the command by slot and puts the answers in order.
        let values: Vec<Option<Vec<u8>>> = self.ask(&get).await?;
        self.check_history().await?;
        let kept = |pair: &[Option<Vec<u8>>]| match pair {
            [plain, companion] => {
                companion::read(plain.as_deref(), companion.as_deref()).map(&keep)
            }
            _ => None,
        };
        Ok(values.chunks(2).map(kept).collect())
    }

    /// Makes publications visible in their order: on one server all at once, in a cluster all of
    /// a slot at once. A grant that has ended, or has no user, is not set.
    ///
    /// A server without memory for more takes the deletions alone. That is no error, since the
    /// truth has what was to be set; it is counted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn publish(
        &self,
        publications: &[Publication],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut transactions = BTreeMap::new();
        for publication in publications {
            for (token, grant) in &publication.set {
                self.transaction_of(&mut transactions, token)
                    .set(token, grant, now);
            }
            for token in &publication.delete {
                self.transaction_of(&mut transactions, token).delete(token);
            }
        }
        let begun = self.begin();
        let transactions = transactions.values();
        future::try_join_all(transactions.map(|transaction| self.carry_out(transaction))).await?;
        begun.confirm();
        Ok(())
    }

    /// Removes tokens.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn delete(&self, tokens: &[TokenKey]) -> Result<(), StoreError> {
        if tokens.is_empty() {
            return Ok(());
        }
        let mut delete = redis::cmd("DEL");
        for token in tokens {
            delete.arg(keys::plain(token)).arg(keys::companion(token));
        }
        self.ask::<()>(&delete).await
    }

    /// Whether Redis answers now, and is no replica, and whether the same nodes of a cluster serve.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let (Link::Cluster(link), Some(layout)) = (&self.link, &self.traits.layout) {
            return layout.check(&mut link.clone()).await;
        }
        let answer = self.ask::<Value>(&self.traits.probe.command()).await?;
        self.traits.probe.check(&answer)?;
        self.check_history().await
    }

    /// What an operator should know of how this server is set up; one sentence each. Empty where
    /// nothing is amiss, where the server does not tell, and for a cluster.
    pub async fn diagnose(&self) -> Vec<String> {
        match &self.link {
            Link::Single(link) => diagnosis::diagnose(link.clone()).await,
            Link::Cluster(_) => Vec::new(),
        }
    }

    /// One transaction per slot in a cluster, a single one elsewhere.
    fn transaction_of<'a>(
        &self,
        transactions: &'a mut BTreeMap<u16, Transaction>,
        token: &TokenKey,
    ) -> &'a mut Transaction {
        let group = self.group_of(token);
        transactions.entry(group).or_insert_with(Transaction::new)
    }

    async fn carry_out(&self, transaction: &Transaction) -> Result<(), StoreError> {
        if transaction.sets == 0 {
            return self.delete(&transaction.deletes).await;
        }
        match self.run::<()>(&transaction.whole).await {
            Err(error) if is_too_much(&error) => {
                self.note_refused(transaction.sets);
                self.delete(&transaction.deletes).await
            }
            done => done.map_err(store_error),
        }
    }

    /// Tokens of one group go in one transaction: those of a slot in a cluster, all elsewhere.
    pub(super) fn group_of(&self, token: &TokenKey) -> u16 {
        match &self.link {
            Link::Single(_) => 0,
            Link::Cluster(_) => slot_of(token),
        }
    }

    // After the answer: that the server was emptied is told before what it answers afterwards.
    async fn check_history(&self) -> Result<(), StoreError> {
        let Some(history) = &self.traits.history else {
            return Ok(());
        };
        let Some(emptied) = history.is_doubtful() else {
            return Ok(());
        };
        let info: String = self.ask(&History::command()).await?;
        history.check(emptied, &info)
    }

    /// Counts tokens that the server had no memory for.
    pub(super) fn note_refused(&self, tokens: usize) {
        self.fullness.note(tokens);
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answer = match self.link.clone() {
            Link::Single(mut link) => command.query_async(&mut link).await,
            Link::Cluster(mut link) => command.query_async(&mut link).await,
        };
        answer.map_err(store_error)
    }

    /// Runs a pipeline for its answers.
    pub(super) async fn run<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        match self.link.clone() {
            Link::Single(mut link) => pipeline.query_async(&mut link).await,
            Link::Cluster(mut link) => pipeline.query_async(&mut link).await,
        }
    }
}

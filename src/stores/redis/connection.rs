//! One connection to a Redis server or cluster, and what is asked of it.
//!
//! After any error the caller drops the connection and makes a new one: a reply that came too
//! late could be taken for the answer to another question, and that answer would be another user.

use std::collections::BTreeMap;

use futures_util::future;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult};
use time::OffsetDateTime;

use crate::domain::token::{Grant, TokenValue};
use crate::stores::error::StoreError;

use super::slot::slot_of;
use super::{companion, diagnosis, keys, store_error};

/// What becomes visible in Redis at once.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// The token that is live from now on.
    pub set: Option<(TokenValue, Grant)>,
    /// The tokens that are no longer.
    pub delete: Vec<TokenValue>,
}

/// A connection. Clones share it.
#[derive(Clone)]
pub struct RedisConnection {
    link: Link,
    tracks_changes: bool,
}

/// The driver's connection.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl RedisConnection {
    pub(super) fn new(link: Link, tracks_changes: bool) -> Self {
        Self {
            link,
            tracks_changes,
        }
    }

    /// Whether changes of what was read over this connection are told. If not, what was read may
    /// be kept for a moment only.
    pub fn tracks_changes(&self) -> bool {
        self.tracks_changes
    }

    /// The grants of these tokens, in their order. `None` where Redis does not prove one: no key,
    /// a key of another program, a companion that does not fit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn find_many(&self, tokens: &[TokenValue]) -> Result<Vec<Option<Grant>>, StoreError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = redis::cmd("MGET");
        for token in tokens {
            get.arg(keys::plain(token)).arg(keys::companion(token));
        }
        // The cluster connection cuts the command by slot and puts the answers in order.
        let values: Vec<Option<Vec<u8>>> = self.ask(&get).await?;
        let grant = |pair: &[Option<Vec<u8>>]| match pair {
            [plain, companion] => companion::read(plain.as_deref(), companion.as_deref()),
            _ => None,
        };
        Ok(values.chunks(2).map(grant).collect())
    }

    /// Makes publications visible in their order: on one server all at once, in a cluster all of
    /// a slot at once. A grant that has ended, or has no user, is not set.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn publish(
        &self,
        publications: &[Publication],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut pipelines: BTreeMap<u16, Pipeline> = BTreeMap::new();
        for publication in publications {
            if let Some((token, grant)) = &publication.set {
                set(self.pipeline_of(&mut pipelines, token), token, grant, now);
            }
            for token in &publication.delete {
                delete(self.pipeline_of(&mut pipelines, token), token);
            }
        }
        let pipelines = pipelines.values().filter(|pipeline| !pipeline.is_empty());
        future::try_join_all(pipelines.map(|pipeline| self.run(pipeline))).await?;
        Ok(())
    }

    /// Removes tokens.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn delete(&self, tokens: &[TokenValue]) -> Result<(), StoreError> {
        if tokens.is_empty() {
            return Ok(());
        }
        let mut delete = redis::cmd("DEL");
        for token in tokens {
            delete.arg(keys::plain(token)).arg(keys::companion(token));
        }
        self.ask::<()>(&delete).await
    }

    /// Whether Redis answers now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask::<()>(&redis::cmd("PING")).await
    }

    /// What an operator should know of how this server is set up; one sentence each. Empty where
    /// nothing is amiss, where the server does not tell, and for a cluster.
    pub async fn diagnose(&self) -> Vec<String> {
        match &self.link {
            Link::Single(link) => diagnosis::diagnose(link.clone()).await,
            Link::Cluster(_) => Vec::new(),
        }
    }

    fn pipeline_of<'a>(
        &self,
        pipelines: &'a mut BTreeMap<u16, Pipeline>,
        token: &TokenValue,
    ) -> &'a mut Pipeline {
        pipelines.entry(self.group_of(token)).or_insert_with(atomic)
    }

    /// Tokens of one group go in one transaction: those of a slot in a cluster, all elsewhere.
    pub(super) fn group_of(&self, token: &TokenValue) -> u16 {
        match &self.link {
            Link::Single(_) => 0,
            Link::Cluster(_) => slot_of(token),
        }
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answer = match self.link.clone() {
            Link::Single(mut link) => command.query_async(&mut link).await,
            Link::Cluster(mut link) => command.query_async(&mut link).await,
        };
        answer.map_err(store_error)
    }

    pub(super) async fn run(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        self.run_for(pipeline).await.map_err(store_error)
    }

    /// Runs a pipeline for its answers.
    pub(super) async fn run_for<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        match self.link.clone() {
            Link::Single(mut link) => pipeline.query_async(&mut link).await,
            Link::Cluster(mut link) => pipeline.query_async(&mut link).await,
        }
    }
}

/// An empty transaction.
pub(super) fn atomic() -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline
}

/// Sets both keys of a token for the rest of its life.
fn set(pipeline: &mut Pipeline, token: &TokenValue, grant: &Grant, now: OffsetDateTime) {
    let rest = (grant.expires_at - now).whole_milliseconds();
    let (Some(user), Some(companion)) = (&grant.user, companion::write(grant)) else {
        // A reader of the plain keys takes any key for a user's token.
        return;
    };
    if rest <= 0 {
        return;
    }
    let ttl_millis = i64::try_from(rest).unwrap_or(i64::MAX);
    let mut set = |key: &str, value: &str| {
        let command = pipeline.cmd("SET").arg(key).arg(value);
        command.arg("PX").arg(ttl_millis).ignore();
    };
    set(keys::plain(token), &user.id.to_string());
    set(&keys::companion(token), &companion);
}

fn delete(pipeline: &mut Pipeline, token: &TokenValue) {
    let command = pipeline.cmd("DEL").arg(keys::plain(token));
    command.arg(keys::companion(token)).ignore();
}

//! Which server is at the other end, what role it has, and how it names our connection.
//!
//! What a user of few rights may not ask is passed over: such a server is used as it is.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisResult, Value};
use thiserror::Error;

use crate::stores::error::StoreError;

use super::{STORE, is_refused_to_us, store_error};

/// The server follows another one, and would lose what we write or has not heard of it yet.
#[derive(Debug, Error)]
#[error(
    "it is a replica, which may still have ended tokens; name the primary in SENTINEL_REDIS_URL"
)]
struct IsReplica;

/// A connection as its server names it. The number is used once in the life of a server process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    server: String,
    number: u64,
}

impl ConnectionId {
    /// `None` where the server does not tell.
    pub(super) async fn ask(link: &mut MultiplexedConnection) -> RedisResult<Option<Self>> {
        let number = allowed::<u64>(link, &["CLIENT", "ID"]).await?;
        let info = allowed::<String>(link, &["INFO", "server"]).await?;
        let server = info.as_deref().and_then(run_id);
        let id = |(number, server)| Self { server, number };
        Ok(number.zip(server).map(id))
    }

    /// The process at the other end.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Ends this connection over `link`, whose own name is `successor`, and tells whether it has
    /// certainly ended. Does nothing if the server is another one by now: there, the number is
    /// somebody else's.
    pub(super) async fn end_before(
        &self,
        successor: Option<&Self>,
        link: &mut MultiplexedConnection,
    ) -> RedisResult<bool> {
        if successor.is_none_or(|successor| successor.server != self.server) {
            return Ok(false);
        }
        let number = self.number.to_string();
        // It answers how many it ended: none, if it had ended before.
        let ended = allowed::<u64>(link, &["CLIENT", "KILL", "ID", &number]).await?;
        Ok(ended.is_some())
    }
}

/// Names the process that gave this `INFO server`; each start has another name.
pub(super) fn run_id(info: &str) -> Option<String> {
    let mut lines = info.lines();
    let id = lines.find_map(|line| line.strip_prefix("run_id:"));
    id.map(str::to_owned)
}

/// The cheapest question by which a server shows that it answers, and what role it has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe {
    /// Tells the role to every user of RESP3.
    Hello,
    /// Tells the role, to who may ask.
    Role,
    /// Tells nothing but that it answers.
    Ping,
}

impl Probe {
    /// The best one that this server lets us use. Fails for a replica.
    pub(super) async fn find(
        link: &mut MultiplexedConnection,
        has_resp3: bool,
    ) -> Result<Self, StoreError> {
        let first = if has_resp3 { Self::Hello } else { Self::Role };
        for probe in [first, Self::Role] {
            let role = allowed::<Value>(link, probe.words()).await;
            if let Some(answer) = role.map_err(store_error)? {
                probe.check(&answer)?;
                return Ok(probe);
            }
        }
        Ok(Self::Ping)
    }

    /// What is to be asked.
    pub(super) fn command(self) -> Cmd {
        command(self.words())
    }

    /// Fails if the answer is that of a replica.
    pub(super) fn check(self, answer: &Value) -> Result<(), StoreError> {
        let role = match (self, answer) {
            (Self::Hello, Value::Map(fields)) => {
                let is_role = |(name, _): &&(Value, Value)| text(name) == Some("role");
                fields.iter().find(is_role).map(|(_, role)| role)
            }
            (Self::Role, Value::Array(fields)) => fields.first(),
            _ => None,
        };
        if !matches!(role.and_then(text), Some("replica" | "slave")) {
            return Ok(());
        }
        Err(StoreError::Unavailable {
            store: STORE,
            source: IsReplica.into(),
        })
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Hello => &["HELLO", "3"],
            Self::Role => &["ROLE"],
            Self::Ping => &["PING"],
        }
    }
}

pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// Asks; `None` where the server has no such command or our user may not use it.
pub(super) async fn allowed<T: FromRedisValue>(
    link: &mut MultiplexedConnection,
    words: &[&str],
) -> RedisResult<Option<T>> {
    match command(words).query_async(link).await {
        Err(error) if is_refused_to_us(&error) => Ok(None),
        answer => answer.map(Some),
    }
}

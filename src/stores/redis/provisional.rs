//! Putting live tokens back: set for a moment, and for good once the truth was asked again.
//!
//! Their end may be carried out between our look-up in the truth and our write here, which would
//! bring them back for the rest of their life. A server that dies in between leaves keys that end
//! by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future;
use redis::Pipeline;
use time::OffsetDateTime;

use crate::domain::token::{Grant, TokenValue};
use crate::stores::error::StoreError;

use super::connection::RedisConnection;
use super::transaction::{atomic, is_too_much, millis, rest};
use super::{companion, keys, store_error};

/// How long a key lives whose token was not confirmed yet.
const UNCONFIRMED: Duration = Duration::from_secs(5);

/// Which tokens are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// All of them, whatever stands under their keys.
    Any,
    /// Those that have no key.
    Absent,
}

/// Which tokens were put, or that there is no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These were put.
    Put(Vec<TokenValue>),
    /// The server holds as much as it may; none was put.
    Full,
}

impl RedisConnection {
    /// Sets tokens for a moment; [`RedisConnection::confirm`] makes it the rest of their life. A
    /// grant that has ended, or has no user, is not set.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn put(
        &self,
        which: Put,
        grants: &[(TokenValue, &Grant)],
        now: OffsetDateTime,
    ) -> Result<Outcome, StoreError> {
        let mut groups: BTreeMap<u16, Group> = BTreeMap::new();
        for (token, grant) in grants {
            let rest = rest(grant, now).min(UNCONFIRMED);
            if let (Some(user), Some(companion)) = (&grant.user, companion::write(grant))
                && !rest.is_zero()
            {
                let group = groups.entry(self.group_of(token)).or_default();
                group.tokens.push(token.clone());
                group.set(which, (keys::plain(token), &user.id.to_string()), rest);
                let companion = (&*keys::companion(token), &*companion);
                group.set(which, companion, rest).ignore();
            }
        }
        let puts = groups.values().map(|group| self.run(&group.pipeline));
        let answers: Vec<Vec<Option<String>>> = match future::try_join_all(puts).await {
            Ok(answers) => answers,
            Err(error) if is_too_much(&error) => {
                self.note_refused(grants.len());
                return Ok(Outcome::Full);
            }
            Err(error) => return Err(store_error(error)),
        };
        let tokens = groups.into_values().flat_map(|group| group.tokens);
        let answered = tokens.zip(answers.into_iter().flatten());
        let put = answered.filter_map(|(token, answer)| answer.map(|_ok| token));
        Ok(Outcome::Put(put.collect()))
    }

    /// Lets tokens that were put live for the rest of their life. A server that has become full
    /// meanwhile does not, and they end there in a moment; that is no error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn confirm(
        &self,
        grants: &[(TokenValue, &Grant)],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut groups: BTreeMap<u16, Group> = BTreeMap::new();
        for (token, grant) in grants {
            let group = groups.entry(self.group_of(token)).or_default();
            let rest = millis(rest(grant, now));
            for key in [keys::plain(token), &*keys::companion(token)] {
                group.pipeline.cmd("PEXPIRE").arg(key).arg(rest).ignore();
            }
        }
        let confirmed = groups.values().map(|group| self.run::<()>(&group.pipeline));
        match future::try_join_all(confirmed).await {
            Err(error) if is_too_much(&error) => {
                self.note_refused(grants.len());
                Ok(())
            }
            done => done.map(drop).map_err(store_error),
        }
    }
}

/// What goes to one server at once.
struct Group {
    pipeline: Pipeline,
    tokens: Vec<TokenValue>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            pipeline: atomic(),
            tokens: Vec::new(),
        }
    }
}

impl Group {
    fn set(&mut self, which: Put, (key, value): (&str, &str), rest: Duration) -> &mut Pipeline {
        let command = self.pipeline.cmd("SET").arg(key).arg(value);
        let command = command.arg("PX").arg(millis(rest));
        match which {
            Put::Any => command,
            Put::Absent => command.arg("NX"),
        }
    }
}

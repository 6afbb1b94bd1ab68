//! Putting live tokens back, so that none outlives its end.
//!
//! The end of a token may be carried out between our look-up in the truth and our write here, which
//! would bring the token back for the rest of its life. So its companion key is put first, which
//! proves nothing by itself and ends in a moment; then the truth is asked again; then, if the
//! companion is still there, the plain key comes beside it. An end deletes both.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future;
use redis::Pipeline;
use time::OffsetDateTime;

use crate::domain::token::Grant;
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;

use super::connection::RedisConnection;
use super::transaction::{Transaction, atomic, is_too_much, is_unknown_command, millis, rest};
use super::{companion, keys, store_error};

/// How long a companion lives whose token was not confirmed yet.
const UNCONFIRMED: Duration = Duration::from_secs(5);

/// Which tokens are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// All of them, whatever stands under their keys.
    Any,
    /// Those that have no companion.
    Absent,
}

/// Which tokens were put, or that there is no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These were put.
    Put(Vec<TokenKey>),
    /// The server holds as much as it may; none was put.
    Full,
}

impl RedisConnection {
    /// Puts the companions of tokens for a moment; [`RedisConnection::confirm`] makes tokens of them.
    /// A grant that has ended, or has no user, is not put.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn put(
        &self,
        which: Put,
        grants: &[(TokenKey, &Grant)],
        now: OffsetDateTime,
    ) -> Result<Outcome, StoreError> {
        let mut groups: BTreeMap<u16, Group> = BTreeMap::new();
        for (token, grant) in grants {
            let rest = rest(grant, now).min(UNCONFIRMED);
            if let Some(companion) = companion::write(grant)
                && !rest.is_zero()
            {
                let group = groups.entry(self.group_of(token)).or_default();
                group.tokens.push(token.clone());
                group.put(which, (&keys::companion(token), &companion), rest);
            }
        }
        let puts = groups.values().map(|group| self.run(&group.pipeline));
        let answers: Vec<Vec<Option<String>>> = match future::try_join_all(puts).await {
            Ok(answers) => answers,
            Err(error) if is_too_much(&error) => {
                // Nobody asked for those that are put where they are absent: they are not counted.
                let asked_for = if which == Put::Any { grants.len() } else { 0 };
                self.note_refused(asked_for);
                return Ok(Outcome::Full);
            }
            Err(error) => return Err(store_error(error)),
        };
        let tokens = groups.into_values().flat_map(|group| group.tokens);
        let answered = tokens.zip(answers.into_iter().flatten());
        let put = answered.filter_map(|(token, answer)| answer.map(|_ok| token));
        Ok(Outcome::Put(put.collect()))
    }

    /// Makes tokens of companions that are still there, for the rest of their life. A server that
    /// has become full meanwhile does not; that is no error.
    ///
    /// Tells whether it could see to it that none came back that had ended. A server without `COPY`
    /// (before 6.2), or that does not let us use it, cannot: there the truth has to be asked again,
    /// and what has ended be deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Timeout`]; drop the connection then.
    pub async fn confirm(
        &self,
        grants: &[(TokenKey, &Grant)],
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut pipelines: BTreeMap<u16, (Pipeline, Transaction)> = BTreeMap::new();
        for (token, grant) in grants {
            let new = || (atomic(), Transaction::new());
            let (promote, set) = pipelines.entry(self.group_of(token)).or_insert_with(new);
            if let Some(user) = &grant.user {
                promote_companion(promote, token, &user.id.to_string(), rest(grant, now));
            }
            set.set(token, grant, now);
        }
        let confirmed =
            pipelines
                .values()
                .map(async |(promote, set)| match self.run::<()>(promote).await {
                    Err(error) if is_unknown_command(&error) => {
                        self.run::<()>(&set.whole).await.map(|()| false)
                    }
                    done => done.map(|()| true),
                });
        match future::try_join_all(confirmed).await {
            Err(error) if is_too_much(&error) => {
                self.note_refused(grants.len());
                Ok(true)
            }
            Ok(safely) => Ok(safely.into_iter().all(|is_safe| is_safe)),
            Err(error) => Err(store_error(error)),
        }
    }
}

/// Only where the companion is there does the copy make a plain key, and only where there is a
/// plain key does it get its value.
fn promote_companion(pipeline: &mut Pipeline, token: &TokenKey, user_id: &str, rest: Duration) {
    let (plain, companion) = (keys::plain(token), keys::companion(token));
    let rest = millis(rest);
    pipeline.cmd("COPY").arg(&companion).arg(plain).ignore();
    let set = pipeline.cmd("SET").arg(plain).arg(user_id);
    set.arg("XX").arg("PX").arg(rest).ignore();
    let prolong = pipeline.cmd("PEXPIRE").arg(companion).arg(rest);
    prolong.ignore();
}

/// What goes to one server at once.
struct Group {
    pipeline: Pipeline,
    tokens: Vec<TokenKey>,
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
    fn put(&mut self, which: Put, (key, value): (&str, &str), rest: Duration) {
        let command = self.pipeline.cmd("SET").arg(key).arg(value);
        command.arg("PX").arg(millis(rest));
        if which == Put::Absent {
            command.arg("NX");
        }
    }
}

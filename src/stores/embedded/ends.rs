//! The memory of ended tokens with its indexes, as one write transaction sees it.

use std::sync::Arc;

use redb::{MultimapTable, ReadableTable, Table, WriteTransaction};
use time::OffsetDateTime;

use super::records::ended::{EndedRow, read_ended};
use super::records::{encode, millis};
use super::tables::{ENDED, ENDED_EXPIRIES, ENDED_REFRESH_TOKENS, FORGET_ORDER, Millis, Row};
use crate::domain::token::EndedToken;
use crate::domain::token_key::TokenKey;
use crate::stores::ends::{EndsMark, EndsPage, SettledEnds, SettledRounds};
use crate::stores::error::StoreError;

/// Memories that one batch forgets at most, so that it stays short.
const FORGET_LIMIT: usize = 100;

/// The tables, open for writing.
pub(super) struct EndTables<'t> {
    ends: Table<'t, &'static str, Row>,
    by_refresh_token: MultimapTable<'t, &'static str, &'static str>,
    by_expiry: Table<'t, (Millis, &'static str), ()>,
    by_forget_at: Table<'t, (Millis, &'static str), ()>,
}

/// Ends whose marks may go, of whatever rounds, by their access tokens.
pub(super) struct Settled {
    pub(super) answered: Arc<[TokenKey]>,
    published: Arc<[TokenKey]>,
}

impl Settled {
    pub(super) fn of(rounds: &SettledRounds) -> Self {
        let all = |noted: fn(&SettledEnds) -> &Vec<TokenKey>| {
            rounds.values().flat_map(noted).cloned().collect()
        };
        Self {
            answered: all(|ends| &ends.answered),
            published: all(|ends| &ends.published),
        }
    }
}

impl<'t> EndTables<'t> {
    /// Opens them.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            ends: transaction.open_table(ENDED)?,
            by_refresh_token: transaction.open_multimap_table(ENDED_REFRESH_TOKENS)?,
            by_expiry: transaction.open_table(ENDED_EXPIRIES)?,
            by_forget_at: transaction.open_table(FORGET_ORDER)?,
        })
    }

    /// Remembers an end. What is remembered already stays as it is.
    pub(super) fn remember(&mut self, end: &EndedToken) -> Result<(), StoreError> {
        let access_token = end.access_token.expose();
        if self.ends.get(access_token)?.is_some() {
            return Ok(());
        }
        let row = encode(&EndedRow::from(end))?;
        self.ends.insert(access_token, row.as_slice())?;
        if let Some(refresh_token) = &end.refresh_token {
            self.by_refresh_token
                .insert(refresh_token.expose(), access_token)?;
        }
        self.by_expiry
            .insert((millis(end.access_expires_at), access_token), ())?;
        self.by_forget_at
            .insert((millis(end.forget_at), access_token), ())?;
        Ok(())
    }

    /// Notes what became of ends.
    pub(super) fn settle(&mut self, settled: &Settled) -> Result<(), StoreError> {
        for token in &*settled.answered {
            self.mark(token, |row| row.is_unanswered = false)?;
        }
        for token in &*settled.published {
            self.mark(token, |row| row.is_unpublished = false)?;
        }
        Ok(())
    }

    // Changes the marks of an end, if it is remembered.
    fn mark(
        &mut self,
        token: &TokenKey,
        change: impl FnOnce(&mut EndedRow),
    ) -> Result<(), StoreError> {
        let access_token = token.expose();
        let Some(mut row) = self.find(access_token)? else {
            return Ok(());
        };
        change(&mut row);
        self.ends.insert(access_token, encode(&row)?.as_slice())?;
        Ok(())
    }

    fn find(&self, access_token: &str) -> Result<Option<EndedRow>, StoreError> {
        let row = self.ends.get(access_token)?;
        row.map(|row| read_ended(row.value())).transpose()
    }

    /// Forgets what may go by now, up to what one batch may remove.
    pub(super) fn forget(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        for _ in 0..FORGET_LIMIT {
            let due = match self.by_forget_at.first()? {
                Some((key, _)) if key.value().0 <= millis(now) => key.value().1.to_owned(),
                _ => break,
            };
            self.remove(&due)?;
        }
        Ok(())
    }

    /// Forgets an end, if it is remembered.
    pub(super) fn remove(&mut self, access_token: &str) -> Result<(), StoreError> {
        let Some(row) = self.ends.remove(access_token)? else {
            return Ok(());
        };
        let row = read_ended(row.value())?;
        if let Some(refresh_token) = &row.refresh_token {
            self.by_refresh_token
                .remove(refresh_token.as_str(), access_token)?;
        }
        self.by_expiry
            .remove((row.access_expires_at, access_token))?;
        self.by_forget_at.remove((row.forget_at, access_token))?;
        Ok(())
    }
}

/// A page of ends, of which as many were read as there are, but no more than `limit`.
pub(super) fn page_of(ends: Vec<EndedToken>, limit: usize) -> EndsPage {
    let last = ends.last().filter(|_| ends.len() >= limit);
    let next = last.map(|end| EndsMark {
        expires_at: end.access_expires_at,
        name: end.access_token.expose().to_owned(),
    });
    EndsPage { ends, next }
}

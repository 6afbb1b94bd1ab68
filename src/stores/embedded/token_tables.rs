//! Token records with all their indexes, as one write transaction sees them.
//!
//! Every change of a record goes through `put` and `remove`, so no index can be forgotten.

use redb::{MultimapTable, ReadableTable, Table, WriteTransaction};
use time::OffsetDateTime;

use super::records::{TokenRow, corrupt, encode, millis, read_token};
use super::tables::{
    ACCESS_TOKENS, FAMILIES, Id, Millis, REFRESH_TOKENS, ROTATED_TOKENS, Row, SESSIONS,
    TOKEN_EXPIRIES, TOKENS,
};
use crate::domain::token::{CLEANUP_SLACK, RecordId, TokenRecord};
use crate::stores::error::StoreError;
use crate::stores::{ExpectedRecord, TokenWrite};

/// Records that one batch removes at most, so that it stays short.
const PURGE_LIMIT: usize = 100;

/// The tables, open for writing.
pub(super) struct TokenTables<'t> {
    records: Table<'t, Id, Row>,
    by_access_token: Table<'t, &'static str, Id>,
    by_refresh_token: Table<'t, &'static str, Id>,
    by_rotated_from: Table<'t, &'static str, Id>,
    by_session: Table<'t, (&'static str, Id), Id>,
    by_family: MultimapTable<'t, Id, Id>,
    by_expiry: Table<'t, (Millis, Id), ()>,
}

/// A record that may go, as its expiry index names it.
pub(super) struct Expired {
    at: Millis,
    id: RecordId,
}

impl<'t> TokenTables<'t> {
    /// Opens them.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            records: transaction.open_table(TOKENS)?,
            by_access_token: transaction.open_table(ACCESS_TOKENS)?,
            by_refresh_token: transaction.open_table(REFRESH_TOKENS)?,
            by_rotated_from: transaction.open_table(ROTATED_TOKENS)?,
            by_session: transaction.open_table(SESSIONS)?,
            by_family: transaction.open_multimap_table(FAMILIES)?,
            by_expiry: transaction.open_table(TOKEN_EXPIRIES)?,
        })
    }

    /// Does one write if its condition holds, and tells whether it was done.
    pub(super) fn apply(&mut self, write: &TokenWrite) -> Result<bool, StoreError> {
        match write {
            TokenWrite::Insert(record) => {
                let is_new = self.records.get(&record.id.0)?.is_none();
                Ok(is_new && self.put_if_free(None, record)?)
            }
            TokenWrite::Replace { expected, record } => {
                let Some(old) = self.find(expected)? else {
                    return Ok(false);
                };
                // Under the same identifier, as the contract says, whatever the caller filled in.
                let new = TokenRecord {
                    id: old.id,
                    ..record.clone()
                };
                self.put_if_free(Some(&old), &new)
            }
            TokenWrite::Delete { expected } => match self.find(expected)? {
                Some(old) => self.remove(&old).map(|()| true),
                None => Ok(false),
            },
        }
    }

    /// What has expired for long enough, up to what one batch may remove: a clock that stands ahead
    /// for a moment must not cost a session. Asked before the writes of a batch, so that none of
    /// them finds gone what its caller has just read.
    pub(super) fn expired(&self, now: OffsetDateTime) -> Result<Vec<Expired>, StoreError> {
        let end = (millis(now.saturating_sub(CLEANUP_SLACK)), &[u8::MAX; 12]);
        let entries = self.by_expiry.range::<(Millis, Id)>(..=end)?;
        entries
            .take(PURGE_LIMIT)
            .map(|entry| {
                let (key, _) = entry?;
                let (at, id) = key.value();
                let id = RecordId(*id);
                Ok(Expired { at, id })
            })
            .collect()
    }

    /// Removes those that the batch has left as they were.
    pub(super) fn purge(&mut self, expired: &[Expired]) -> Result<(), StoreError> {
        for Expired { at, id } in expired {
            if self.by_expiry.get((*at, &id.0))?.is_some()
                && let Some(record) = self.read(*id)?
            {
                self.remove(&record)?;
            }
        }
        Ok(())
    }

    fn read(&self, id: RecordId) -> Result<Option<TokenRecord>, StoreError> {
        let row = self.records.get(&id.0)?;
        row.map(|bytes| read_token(id, bytes.value())).transpose()
    }

    fn find(&self, expected: &ExpectedRecord) -> Result<Option<TokenRecord>, StoreError> {
        let is_as_read = |record: &TokenRecord| {
            record.access_token == expected.access_token
                && record.refresh_token == expected.refresh_token
        };
        Ok(self.read(expected.id)?.filter(is_as_read))
    }

    fn put_if_free(
        &mut self,
        old: Option<&TokenRecord>,
        new: &TokenRecord,
    ) -> Result<bool, StoreError> {
        if !self.is_free(new)? {
            return Ok(false);
        }
        if let Some(old) = old {
            self.remove(old)?;
        }
        self.put(new)?;
        Ok(true)
    }

    /// Whether no other record has its session or one of its tokens.
    fn is_free(&self, record: &TokenRecord) -> Result<bool, StoreError> {
        let own = &record.id.0;
        if let Some(session) = only_session(record) {
            let holder = self.by_session.get(session)?;
            if holder.is_some_and(|holder| holder.value() != own) {
                return Ok(false);
            }
        }
        let holder = self.by_access_token.get(record.access_token.expose())?;
        if holder.is_some_and(|holder| holder.value() != own) {
            return Ok(false);
        }
        let Some(refresh_token) = &record.refresh_token else {
            return Ok(true);
        };
        let holder = self.by_refresh_token.get(refresh_token.expose())?;
        Ok(holder.is_none_or(|holder| holder.value() == own))
    }

    fn put(&mut self, record: &TokenRecord) -> Result<(), StoreError> {
        let id = &record.id.0;
        let row = encode(&TokenRow::from(record))?;
        self.records.insert(id, row.as_slice())?;
        self.by_access_token
            .insert(record.access_token.expose(), id)?;
        if let Some(refresh_token) = &record.refresh_token {
            self.by_refresh_token.insert(refresh_token.expose(), id)?;
        }
        if let Some(spent) = &record.rotated_from {
            self.by_rotated_from
                .insert(spent.refresh_token.expose(), id)?;
        }
        if let Some(session) = only_session(record) {
            self.by_session.insert(session, id)?;
        }
        self.by_family.insert(&record.family.0, id)?;
        if let Some(at) = end_of_record(record) {
            self.by_expiry.insert((at, id), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, record: &TokenRecord) -> Result<(), StoreError> {
        let id = &record.id.0;
        let lost = || corrupt("tokens", "a record is not in its index");
        self.records.remove(id)?.ok_or_else(lost)?;
        self.by_access_token.remove(record.access_token.expose())?;
        if let Some(refresh_token) = &record.refresh_token {
            self.by_refresh_token.remove(refresh_token.expose())?;
        }
        if let Some(spent) = &record.rotated_from {
            let spent = spent.refresh_token.expose();
            // Nothing makes spent tokens unique, so the entry may be another record's.
            let is_own = self
                .by_rotated_from
                .get(spent)?
                .is_some_and(|holder| holder.value() == id);
            if is_own {
                self.by_rotated_from.remove(spent)?;
            }
        }
        if let Some(session) = only_session(record) {
            self.by_session.remove(session)?;
        }
        self.by_family.remove(&record.family.0, id)?;
        if let Some(at) = end_of_record(record) {
            self.by_expiry.remove((at, id))?;
        }
        Ok(())
    }
}

/// The place of a record that must be the only one of its user and client.
fn only_session(record: &TokenRecord) -> Option<(&str, &[u8; 12])> {
    let user = record
        .user_id
        .as_ref()
        .filter(|_| record.session.is_none())?;
    Some((record.client_id.as_str(), &user.0))
}

/// The instant from which neither of its tokens is accepted; `None` is never.
fn end_of_record(record: &TokenRecord) -> Option<Millis> {
    let access = millis(record.expires_at);
    if record.refresh_token.is_none() {
        return Some(access);
    }
    let refresh = record.refresh_expires_at?;
    Some(access.max(millis(refresh)))
}

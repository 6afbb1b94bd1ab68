//! Token records and what they stand for, as a read transaction sees them.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::records::{corrupt, read_client, read_token, read_user};
use super::tables::{Id, Row, TOKENS};
use crate::domain::token::{Grant, GrantUser, RecordId, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::stores::error::StoreError;

/// Reads token records by what an index says.
pub(super) struct Reader {
    records: ReadOnlyTable<Id, Row>,
}

impl Reader {
    /// Opens the table of records.
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        let records = transaction.open_table(TOKENS)?;
        Ok(Self { records })
    }

    /// The record that an index names for a token.
    pub(super) fn by_token(
        &self,
        index: &impl ReadableTable<&'static str, Id>,
        token: &TokenKey,
    ) -> Result<Option<TokenRecord>, StoreError> {
        let id = index.get(token.expose())?;
        id.map(|id| self.indexed(RecordId(*id.value()))).transpose()
    }

    /// The record that an index names.
    pub(super) fn indexed(&self, id: RecordId) -> Result<TokenRecord, StoreError> {
        let lost = || corrupt("tokens", "an index leads to no record");
        let row = self.records.get(&id.0)?.ok_or_else(lost)?;
        read_token(id, row.value())
    }
}

/// What a record stands for; `None` when its user or client is gone or disabled.
pub(super) fn grant_of(
    record: TokenRecord,
    users: &impl ReadableTable<Id, Row>,
    clients: &impl ReadableTable<&'static str, Row>,
) -> Result<Option<Grant>, StoreError> {
    let client_id = record.client_id.as_str();
    let is_client_live = match clients.get(client_id)? {
        Some(row) => !read_client(client_id, row.value())?.is_disabled,
        None => false,
    };
    if !is_client_live {
        return Ok(None);
    }
    let user = match record.user_id {
        None => None,
        Some(id) => match users.get(&id.0)? {
            Some(row) => {
                let user = read_user(id, row.value())?;
                if user.is_disabled {
                    return Ok(None);
                }
                let username = user.username;
                Some(GrantUser { id, username })
            }
            None => return Ok(None),
        },
    };
    Ok(Some(Grant {
        user,
        client_id: record.client_id,
        scope: record.scope,
        issued_at: record.issued_at,
        expires_at: record.expires_at,
    }))
}

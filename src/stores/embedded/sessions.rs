//! The pairs of somebody, read through all there are.

use std::ops::Bound;

use redb::ReadTransaction;

use super::records::read_token;
use super::tables::TOKENS;
use crate::domain::standing::SessionsOf;
use crate::domain::token::{RecordId, TokenRecord};
use crate::stores::error::StoreError;

/// A page of the pairs of a user, of a client or of all, by identifier.
pub(super) fn page(
    transaction: &ReadTransaction,
    of: &SessionsOf,
    after: Option<RecordId>,
    limit: usize,
) -> Result<Vec<TokenRecord>, StoreError> {
    let tokens = transaction.open_table(TOKENS)?;
    let start = match &after {
        Some(id) => Bound::Excluded(&id.0),
        None => Bound::Unbounded,
    };
    let mut page = Vec::new();
    for entry in tokens.range::<&[u8; 12]>((start, Bound::Unbounded))? {
        if page.len() == limit {
            break;
        }
        let (id, row) = entry?;
        let record = read_token(RecordId(*id.value()), row.value())?;
        let is_meant = match of {
            SessionsOf::User(user) => record.user_id == Some(*user),
            SessionsOf::Client(client) => record.client_id == *client,
            SessionsOf::Everyone => true,
        };
        page.extend(is_meant.then_some(record));
    }
    Ok(page)
}

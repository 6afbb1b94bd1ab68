//! Every table of the file. Their names and types are its format; `FORMAT` counts them.

use redb::{
    MultimapTableDefinition, ReadTransaction, TableDefinition, TableError, WriteTransaction,
};

use crate::stores::error::StoreError;

/// Twelve bytes of a `RecordId`.
pub(super) type Id = &'static [u8; 12];
/// Serialized record.
pub(super) type Row = &'static [u8];
/// Milliseconds since 1970, UTC.
pub(super) type Millis = i64;

/// The version of this list of tables, with hashes of tokens in them.
pub(super) const FORMAT: u64 = 2;
/// The version with the same tables, and tokens as they are.
pub(super) const PLAIN_FORMAT: u64 = 1;

/// `format` and its version.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Users by identifier.
pub(super) const USERS: TableDefinition<'_, Id, Row> = TableDefinition::new("users");
/// Username to identifier.
pub(super) const USERNAMES: TableDefinition<'_, &str, Id> = TableDefinition::new("usernames");

/// Clients by client identifier.
pub(super) const CLIENTS: TableDefinition<'_, &str, Row> = TableDefinition::new("clients");

/// Token records by identifier.
pub(super) const TOKENS: TableDefinition<'_, Id, Row> = TableDefinition::new("tokens");
/// Access token to record.
pub(super) const ACCESS_TOKENS: TableDefinition<'_, &str, Id> =
    TableDefinition::new("tokens_by_access_token");
/// Present refresh token to record.
pub(super) const REFRESH_TOKENS: TableDefinition<'_, &str, Id> =
    TableDefinition::new("tokens_by_refresh_token");
/// Spent refresh token (`rotated_from`) to record.
pub(super) const ROTATED_TOKENS: TableDefinition<'_, &str, Id> =
    TableDefinition::new("tokens_by_rotated_from");
/// Client and user to their one record.
pub(super) const SESSIONS: TableDefinition<'_, (&str, Id), Id> =
    TableDefinition::new("tokens_by_session");
/// Family to its records.
pub(super) const FAMILIES: MultimapTableDefinition<'_, Id, Id> =
    MultimapTableDefinition::new("tokens_by_family");
/// Records in the order of the instant from which nothing in them is accepted.
pub(super) const TOKEN_EXPIRIES: TableDefinition<'_, (Millis, Id), ()> =
    TableDefinition::new("tokens_by_expiry");

/// Remembered ends by access token.
pub(super) const ENDED: TableDefinition<'_, &str, Row> = TableDefinition::new("ended");
/// Ended refresh token to the access tokens it ended with.
pub(super) const ENDED_REFRESH_TOKENS: MultimapTableDefinition<'_, &str, &str> =
    MultimapTableDefinition::new("ended_by_refresh_token");
/// Ended access tokens in the order in which they would have expired.
pub(super) const ENDED_EXPIRIES: TableDefinition<'_, (Millis, &str), ()> =
    TableDefinition::new("ended_by_expiry");
/// Ended access tokens in the order in which they may be forgotten.
pub(super) const FORGET_ORDER: TableDefinition<'_, (Millis, &str), ()> =
    TableDefinition::new("ended_by_forget_at");

/// Counts of attempts by key: those taken, those of them that failed, and the end of the window.
pub(super) const ATTEMPTS: TableDefinition<'_, &[u8; 32], (u32, u32, Millis)> =
    TableDefinition::new("attempts");
/// Keys of attempts in the order in which their windows end.
pub(super) const ATTEMPT_EXPIRIES: TableDefinition<'_, (Millis, &[u8; 32]), ()> =
    TableDefinition::new("attempts_by_expiry");

/// Shared secrets by name.
pub(super) const SECRETS: TableDefinition<'_, &str, &[u8; 32]> = TableDefinition::new("secrets");

/// The version of the file's format; `None` for a new file.
pub(super) fn find_format(transaction: &ReadTransaction) -> Result<Option<u64>, StoreError> {
    match transaction.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes every table, so that readers find them, and tells the version of the file's format. Those of
/// attempts have no readers: who writes them makes them, in an older file too.
pub(super) fn create_all(transaction: &WriteTransaction) -> Result<u64, StoreError> {
    transaction.open_table(USERS)?;
    transaction.open_table(USERNAMES)?;
    transaction.open_table(CLIENTS)?;
    transaction.open_table(TOKENS)?;
    transaction.open_table(ACCESS_TOKENS)?;
    transaction.open_table(REFRESH_TOKENS)?;
    transaction.open_table(ROTATED_TOKENS)?;
    transaction.open_table(SESSIONS)?;
    transaction.open_multimap_table(FAMILIES)?;
    transaction.open_table(TOKEN_EXPIRIES)?;
    transaction.open_table(ENDED)?;
    transaction.open_multimap_table(ENDED_REFRESH_TOKENS)?;
    transaction.open_table(ENDED_EXPIRIES)?;
    transaction.open_table(FORGET_ORDER)?;
    transaction.open_table(SECRETS)?;
    let mut meta = transaction.open_table(META)?;
    let format = meta.entry("format")?.or_insert(FORMAT)?;
    Ok(format.value())
}

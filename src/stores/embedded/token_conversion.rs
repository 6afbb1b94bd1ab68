//! How tokens are kept: hashed, but in a file of an earlier version until that is converted.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use redb::{Durability, TableError};

use crate::domain::token::EndedToken;
use crate::domain::token_key::TokenStorage;
use crate::stores::ends::{EndsMark, EndsPage};
use crate::stores::error::StoreError;
use crate::stores::token_conversion::{KeptTokens, TokenConversion};

use super::EmbeddedStore;
use super::ends::{EndTables, page_of};
use super::records::corrupt;
use super::records::ended::read_end;
use super::tables::{ENDED, FORMAT, META, PLAIN_FORMAT};

/// In `META` while tokens are being hashed.
const HASHING: &str = "hashing";

#[async_trait]
impl TokenConversion for EmbeddedStore {
    async fn kept_tokens(&self) -> Result<KeptTokens, StoreError> {
        let noted = self.read(|transaction| match transaction.open_table(META) {
            Ok(meta) => {
                let format = meta.get("format")?.map(|format| format.value());
                Ok((format, meta.get(HASHING)?.is_some()))
            }
            Err(TableError::TableDoesNotExist(_)) => Ok((None, false)),
            Err(error) => Err(error.into()),
        });
        Ok(match noted.await? {
            (_, true) => KeptTokens::Hashing,
            (Some(PLAIN_FORMAT), false) => KeptTokens::All(TokenStorage::Plain),
            (_, false) => KeptTokens::All(TokenStorage::Hashed),
        })
    }

    // An earlier version must not open it from now on: it cannot read hashes.
    async fn begin_hashing(&self) -> Result<(), StoreError> {
        self.transact(|transaction| {
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert(HASHING, 1)?;
            Ok(())
        })
        .await
    }

    async fn note_storage(&self, storage: TokenStorage) -> Result<(), StoreError> {
        if storage == TokenStorage::Plain {
            let what = "a file of this version has hashes of tokens only";
            return Err(corrupt("meta", what));
        }
        self.transact(|transaction| {
            transaction.open_table(META)?.remove(HASHING)?;
            Ok(())
        })
        .await
    }

    async fn list_all_ends(
        &self,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        let last = after.map(|mark| mark.name.clone());
        self.scan(move |transaction| {
            let ends = transaction.open_table(ENDED)?;
            let after = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let mut found = Vec::new();
            for entry in ends.range::<&str>((after, Bound::Unbounded))?.take(limit) {
                let (access_token, row) = entry?;
                found.push(read_end(access_token.value(), row.value())?);
            }
            Ok(page_of(found, limit))
        })
        .await
    }

    async fn forget_ends(&self, ends: &[EndedToken]) -> Result<(), StoreError> {
        let ends: Arc<[EndedToken]> = ends.into();
        self.transact_with(Durability::Immediate, move |transaction| {
            let mut tables = EndTables::open(transaction)?;
            ends.iter()
                .try_for_each(|end| tables.remove(end.access_token.expose()))
        })
        .await
    }
}

//! How tokens are kept: hashed, but in a file of an earlier version until it is converted.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use redb::Durability;

use crate::domain::token::EndedToken;
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::stores::error::StoreError;
use crate::stores::token_conversion::TokenConversion;

use super::EmbeddedStore;
use super::ends::EndTables;
use super::records::corrupt;
use super::records::ended::read_end;
use super::tables::{ENDED, FORMAT, META, PLAIN_FORMAT, find_format};

#[async_trait]
impl TokenConversion for EmbeddedStore {
    async fn token_storage(&self) -> Result<Option<TokenStorage>, StoreError> {
        let format = self.read(find_format).await?;
        let is_plain = format == Some(PLAIN_FORMAT);
        Ok(Some(if is_plain {
            TokenStorage::Plain
        } else {
            TokenStorage::Hashed
        }))
    }

    // The format says so already.
    async fn begin_conversion(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn finish_conversion(&self, storage: TokenStorage) -> Result<(), StoreError> {
        if storage == TokenStorage::Plain {
            return Err(corrupt(
                "meta",
                "a file of this version has hashes of tokens only",
            ));
        }
        self.transact(|transaction| {
            transaction.open_table(META)?.insert("format", FORMAT)?;
            Ok(())
        })
        .await
    }

    async fn list_all_ends(
        &self,
        after: Option<&TokenKey>,
        limit: usize,
    ) -> Result<Vec<EndedToken>, StoreError> {
        let last = after.map(|key| key.expose().to_owned());
        self.scan(move |transaction| {
            let ends = transaction.open_table(ENDED)?;
            let after = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let mut found = Vec::new();
            for entry in ends.range::<&str>((after, Bound::Unbounded))?.take(limit) {
                let (access_token, row) = entry?;
                found.push(read_end(access_token.value(), row.value())?);
            }
            Ok(found)
        })
        .await
    }

    async fn forget_ends(&self, access_tokens: &[TokenKey]) -> Result<(), StoreError> {
        let tokens: Arc<[TokenKey]> = access_tokens.into();
        self.transact_with(Durability::Immediate, move |transaction| {
            let mut tables = EndTables::open(transaction)?;
            tokens
                .iter()
                .try_for_each(|token| tables.remove(token.expose()))
        })
        .await
    }
}

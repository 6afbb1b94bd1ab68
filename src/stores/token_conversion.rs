//! What is needed to change how a store keeps its tokens. No server may run on it meanwhile but such as
//! do the same.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::token::EndedToken;
use crate::domain::token_key::{TokenKey, TokenStorage};

/// A store whose tokens may be kept in another way from now on.
#[async_trait]
pub trait TokenConversion: Send + Sync {
    /// How the tokens in it are kept; `None` where a change was begun and not finished.
    async fn token_storage(&self) -> Result<Option<TokenStorage>, StoreError>;

    /// Notes that a change is begun: until it is finished, what is in the store is kept in either way.
    async fn begin_conversion(&self) -> Result<(), StoreError>;

    /// Notes that all tokens in it are kept so.
    async fn finish_conversion(&self, storage: TokenStorage) -> Result<(), StoreError>;

    /// Up to `limit` remembered ends, whether or not their tokens would have expired, by the text of
    /// their access token, those after `after`.
    async fn list_all_ends(
        &self,
        after: Option<&TokenKey>,
        limit: usize,
    ) -> Result<Vec<EndedToken>, StoreError>;

    /// Forgets the ends of these access tokens.
    async fn forget_ends(&self, access_tokens: &[TokenKey]) -> Result<(), StoreError>;
}

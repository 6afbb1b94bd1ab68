//! What is needed to change how a store keeps its tokens: from as they are to hashed, page by page. The
//! other way there is none. No server may run on it meanwhile but such as do the same.

use async_trait::async_trait;

use super::ends::{EndsMark, EndsPage};
use super::error::StoreError;
use crate::domain::token::EndedToken;
use crate::domain::token_key::TokenStorage;

/// How the tokens of a store are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptTokens {
    /// All in this way.
    All(TokenStorage),
    /// In either: a change to hashed ones was begun and not finished.
    Hashing,
}

/// A store whose tokens may be hashed from now on.
#[async_trait]
pub trait TokenConversion: Send + Sync {
    /// How the tokens in it are kept.
    async fn kept_tokens(&self) -> Result<KeptTokens, StoreError>;

    /// Notes that the change to hashed tokens is begun, unless it is finished already.
    async fn begin_hashing(&self) -> Result<(), StoreError>;

    /// Notes that all tokens in it are kept so.
    async fn note_storage(&self, storage: TokenStorage) -> Result<(), StoreError>;

    /// Remembered ends, whether or not their tokens would have expired, of up to `limit` rounds after
    /// `after`, as [`super::TokenStore::list_ends`] counts them.
    async fn list_all_ends(
        &self,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError>;

    /// Forgets ends, and with them all else of their rounds.
    async fn forget_ends(&self, ends: &[EndedToken]) -> Result<(), StoreError>;
}

//! Which tokens a shard has.

use crate::domain::token_key::TokenKey;
use crate::stores::redis::slot;

/// Which part of the tokens a shard has.
#[derive(Clone, Copy)]
pub(in crate::actors::token_cache) struct ShardRange {
    index: usize,
    count: usize,
}

impl ShardRange {
    pub(in crate::actors::token_cache) fn new(index: usize, count: usize) -> Self {
        Self { index, count }
    }

    pub(in crate::actors::token_cache) fn has(self, token: &TokenKey) -> bool {
        slot::shard_of(token, self.count) == self.index
    }
}

//! What is kept of tokens: bounded maps that requests read without waiting for each other.

use std::hash::{Hash, Hasher};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::actors::token_cache::live_token::LiveToken;
use crate::domain::token_key::TokenKey;

/// Most bytes of live tokens kept in one shard: a token counts with what it costs, and at least with
/// [`LEAST_WEIGHT`], so there are at most 262,144 of them. The places that remember tokens which had
/// to make room come to a quarter of it at most.
pub(super) const BYTES: u64 = 64 << 20;
/// What a token counts with at least.
const LEAST_WEIGHT: u64 = 256;
/// Most live tokens kept in one shard.
pub(super) const ENTRIES: u64 = BYTES / LEAST_WEIGHT;
/// What a token costs beside its texts: its place in the map, and what the allocator and the
/// sharing of the texts take.
const OVERHEAD: usize = size_of::<(Key, LiveToken)>() + 72;

/// The live tokens of a shard.
pub(super) type LiveTokens = Cache<Key, LiveToken, Bytes>;

/// As many live tokens as have room.
pub(super) fn live_tokens() -> LiveTokens {
    let estimated = usize::try_from(ENTRIES).unwrap_or(usize::MAX);
    Cache::with_weighter(estimated, BYTES, Bytes)
}

/// Counts live tokens by the bytes they cost.
#[derive(Clone)]
pub(super) struct Bytes;

impl Weighter<Key, LiveToken> for Bytes {
    fn weight(&self, _: &Key, token: &LiveToken) -> u64 {
        let bytes = u64::try_from(OVERHEAD + token.length()).unwrap_or(u64::MAX);
        bytes.max(LEAST_WEIGHT)
    }
}

/// The key of a token where many are kept: in place, since a text of its own would cost half as much
/// again.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn of(token: &TokenKey) -> Self {
        Self(token.packed())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Key {}

// As the key of the token itself, so that it is found by that.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

impl Equivalent<Key> for TokenKey {
    fn equivalent(&self, key: &Key) -> bool {
        self.packed().ct_eq(&*key.0).into()
    }
}

//! Which shard a token belongs to: its Redis Cluster slot, cut into equal ranges, so that any
//! reader can compute it.

use crc16::{State, XMODEM};

use crate::domain::token_key::TokenKey;

/// How many slots a Redis Cluster has.
pub const SLOTS: u16 = 16_384;

/// The Redis Cluster slot of a token: CRC16 (XMODEM) modulo 16,384.
pub fn slot_of(token: &TokenKey) -> u16 {
    State::<XMODEM>::calculate(token.expose().as_bytes()) % SLOTS
}

/// The shard of a token when the slots are cut into `shards` equal ranges. Cutting each range of
/// an endpoint again nests: shard `i` of `endpoints * n` is on endpoint `i / n`.
pub fn shard_of(token: &TokenKey, shards: usize) -> usize {
    usize::from(slot_of(token)) * shards / usize::from(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> impl Iterator<Item = TokenKey> {
        (0..10_000).map(|n| TokenKey::parse(&format!("{n:030}")).unwrap())
    }

    #[test]
    fn a_slot_is_the_one_redis_computes() {
        // The check value of the Redis Cluster specification.
        assert_eq!(State::<XMODEM>::calculate(b"123456789"), 0x31c3);
    }

    #[test]
    fn shards_nest_in_the_ranges_of_their_endpoint() {
        for token in tokens() {
            let shard = shard_of(&token, 3 * 2);
            assert_eq!(shard / 2, shard_of(&token, 3));
        }
    }

    #[test]
    fn shards_get_about_equal_shares() {
        let mut counts = [0; 4];
        tokens().for_each(|token| counts[shard_of(&token, 4)] += 1);
        assert!(
            counts.iter().all(|count| (2_000..3_000).contains(count)),
            "{counts:?}"
        );
    }
}

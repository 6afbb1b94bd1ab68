//! By what attempts are counted.

use super::error::ThrottledBy;
use crate::crypto::digest;
use crate::domain::attempt::{AttemptKey, AttemptLimit};
use crate::domain::network::Network;

/// One count, and its limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub(super) by: ThrottledBy,
    pub(super) key: AttemptKey,
    pub(super) limit: AttemptLimit,
}

impl Counter {
    /// The count of a user name in a network, byte for byte as it is looked up; of the network
    /// itself where the name is empty, which no user's is.
    pub(super) fn new(
        by: ThrottledBy,
        network: Network,
        username: &str,
        limit: AttemptLimit,
    ) -> Self {
        let (by_what, network) = (by.as_str().as_bytes(), network.octets());
        let parts = [by_what, &network, username.as_bytes()];
        Self {
            by,
            key: AttemptKey(digest::of_parts(&parts)),
            limit,
        }
    }
}

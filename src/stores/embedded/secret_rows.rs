//! What is known of a client's secrets beside their hashes, in the order of those.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::records::{instant, millis};
use super::tables::Millis;
use crate::domain::client::SecretHash;
use crate::domain::client_secret::StoredSecret;
use crate::domain::token::RecordId;
use crate::stores::error::StoreError;

/// What is known of one secret. A row of an earlier version has none.
#[derive(Serialize, Deserialize)]
pub(super) struct SecretRow {
    id: [u8; 12],
    created_at: Millis,
    last_used_at: Option<Millis>,
}

impl From<&StoredSecret> for SecretRow {
    fn from(secret: &StoredSecret) -> Self {
        Self {
            id: secret.id.0,
            created_at: millis(secret.created_at),
            last_used_at: secret.last_used_at.map(millis),
        }
    }
}

/// Reads the secrets of a client that was made at `client_made_at`.
pub(super) fn read_secrets(
    hashes: Vec<[u8; 32]>,
    details: Vec<SecretRow>,
    client_made_at: OffsetDateTime,
) -> Result<Vec<StoredSecret>, StoreError> {
    let mut details = details.into_iter();
    let secret = |(place, hash)| {
        let plain = StoredSecret::of_list(SecretHash(hash), place, client_made_at);
        let Some(detail) = details.next() else {
            return Ok(plain);
        };
        let last_used_at = detail.last_used_at.map(|at| instant("clients", at));
        Ok(StoredSecret {
            id: RecordId(detail.id),
            created_at: instant("clients", detail.created_at)?,
            last_used_at: last_used_at.transpose()?,
            ..plain
        })
    };
    hashes.into_iter().enumerate().map(secret).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_hashes_alone_is_read_and_keeps_its_names() {
        let made_at = OffsetDateTime::UNIX_EPOCH;
        let hashes = || vec![[7; 32], [8; 32]];
        let plain = read_secrets(hashes(), Vec::new(), made_at).unwrap();
        assert_eq!(plain.len(), 2);
        assert_ne!(plain[0].id, plain[1].id);
        let details = plain.iter().map(SecretRow::from).collect();
        assert_eq!(read_secrets(hashes(), details, made_at).unwrap(), plain);
    }
}

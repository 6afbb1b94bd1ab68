//! The secrets of a confidential client as they are stored. It may have two at once, so that none of
//! its servers is refused while they are told a new one.

use time::OffsetDateTime;

use super::client::SecretHash;
use super::token::RecordId;

/// Names one secret of a client; it tells nothing of the secret.
pub type SecretId = RecordId;

/// A live secret of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its name, among those of its client.
    pub id: SecretId,
    /// What a secret that is sent is compared with.
    pub hash: SecretHash,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last used, to about a minute; `None` when it never was, or when nobody noted it.
    pub last_used_at: Option<OffsetDateTime>,
}

impl StoredSecret {
    /// A secret of a record that has no more than a list of hashes. Its name is made of its place,
    /// which stays until the list is changed and written with names.
    pub fn of_list(hash: SecretHash, place: usize, client_made_at: OffsetDateTime) -> Self {
        let mut id = [0; 12];
        let seconds = u32::try_from(client_made_at.unix_timestamp()).unwrap_or(0);
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[11] = u8::try_from(place).unwrap_or(u8::MAX);
        Self {
            id: RecordId(id),
            hash,
            created_at: client_made_at,
            last_used_at: None,
        }
    }
}

/// The secrets after a new one was added: of the earlier ones the one stays that was used last, or
/// else the newest. A rotation whose answer was lost is repeated, and must not end what is in use.
pub fn rotated(earlier: &[StoredSecret], new: StoredSecret) -> Vec<StoredSecret> {
    let used_last = earlier.iter().max_by_key(|own| own.last_used_at).cloned();
    used_last.into_iter().chain([new]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(number: u8) -> StoredSecret {
        let hash = SecretHash([number; 32]);
        StoredSecret::of_list(hash, number.into(), OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn two_secrets_live_at_once_and_the_oldest_goes() {
        assert_eq!(rotated(&[], secret(1)), [secret(1)]);
        assert_eq!(rotated(&[secret(1)], secret(2)), [secret(1), secret(2)]);
        let three = rotated(&[secret(1), secret(2)], secret(3));
        assert_eq!(three, [secret(2), secret(3)]);
        let used = StoredSecret {
            last_used_at: Some(OffsetDateTime::UNIX_EPOCH),
            ..secret(1)
        };
        let repeated = rotated(&[used.clone(), secret(2)], secret(3));
        assert_eq!(repeated, [used, secret(3)]);
    }
}

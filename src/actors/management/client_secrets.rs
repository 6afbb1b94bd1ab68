//! Replacing the secret of a client without a moment in which it has none that all of its servers
//! know.

use super::Management;
use super::administration::changed_meanwhile;
use super::error::ManagementError;
use crate::crypto::random;
use crate::crypto::secret::{self, ClientSecret};
use crate::domain::client::{Client, ClientId, ClientType};
use crate::domain::client_secret::{SecretId, StoredSecret, rotated};
use crate::domain::error::RecordError;

/// How often the secrets are read and found changed by somebody else before they could be replaced.
const ATTEMPTS: usize = 3;

impl Management {
    /// Gives a confidential client a new secret, which is told here once and never again. Of its
    /// earlier ones the one that was used last stays good.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`], [`ManagementError::Record`] for a public client;
    /// [`ManagementError::Unavailable`]: then it may have a new secret that nobody knows.
    pub async fn rotate_secret(
        &self,
        id: ClientId,
    ) -> Result<(StoredSecret, ClientSecret), ManagementError> {
        let secret = random::client_secret();
        let stored = self.new_secret(&secret);
        self.replace_secrets(id, |client| Ok(rotated(&client.secrets, stored.clone())))
            .await?;
        Ok((stored, secret))
    }

    /// Deletes a secret of a client. The last one stays, since without any it could not be told from
    /// others.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`], [`ManagementError::Record`] for the last one;
    /// [`ManagementError::Unavailable`].
    pub async fn delete_secret(&self, id: ClientId, own: SecretId) -> Result<(), ManagementError> {
        self.replace_secrets(id, |client| {
            let mut left = client.secrets.clone();
            left.retain(|secret| secret.id != own);
            if left.len() == client.secrets.len() {
                return Err(ManagementError::NotFound);
            }
            if left.is_empty() {
                return Err(RecordError::LastSecret.into());
            }
            Ok(left)
        })
        .await
    }

    /// The record of a secret that was made now.
    pub(super) fn new_secret(&self, secret: &ClientSecret) -> StoredSecret {
        let now = self.clock.now();
        StoredSecret {
            id: random::record_id(now),
            hash: secret::hash_client_secret(secret.expose()),
            created_at: now,
            last_used_at: None,
        }
    }

    async fn replace_secrets(
        &self,
        id: ClientId,
        change: impl Fn(&Client) -> Result<Vec<StoredSecret>, ManagementError>,
    ) -> Result<(), ManagementError> {
        for _ in 0..ATTEMPTS {
            let client = self.client(id.clone()).await?;
            if client.client_type == ClientType::Public {
                return Err(RecordError::PublicSecret.into());
            }
            let secrets = change(&client)?;
            if self.registry.replace_secrets(&client, secrets).await? {
                tracing::info!(client.id = %id, "the secrets of a client were changed");
                return Ok(());
            }
        }
        Err(changed_meanwhile())
    }
}

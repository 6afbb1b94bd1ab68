//! The secrets of clients: which were used, and that they are replaced.
//!
//! A use is noted at most once a minute by each server, by a message that nobody waits for: it is on
//! the path of no answer, and if it is lost, the next one is noted.

use std::time::Duration;

use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::actor::UserRegistryMessage;
use super::job::Job;
use super::{RegistryError, UserRegistry, ask};
use crate::domain::client::{Client, ClientId};
use crate::domain::client_secret::{SecretId, StoredSecret};
use crate::stores::Truth;
use crate::telemetry::chain::Chain;

/// How often at most a use of a secret is noted.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// That a secret was used.
pub(super) struct SecretUse {
    client: ClientId,
    secret: SecretId,
    at: OffsetDateTime,
}

impl UserRegistry {
    /// Has it noted that a secret was used at `at`. Waits for nothing.
    pub fn note_secret_use(&self, client: &ClientId, secret: SecretId, at: OffsetDateTime) {
        let key = (client.clone(), secret);
        let now = Instant::now();
        let noted = self.noted_uses.get(&key);
        if noted.is_some_and(|noted| now.duration_since(noted) < NOTED_EVERY) {
            return;
        }
        self.noted_uses.insert(key, now);
        let client = client.clone();
        self.known.tell(UserRegistryMessage::SecretUsed(SecretUse {
            client,
            secret,
            at,
        }));
    }

    /// Puts secrets in the place of those that `client` was read with, and tells whether it had just
    /// those. This server knows at once; another one when it is sent a secret that it does not know.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn replace_secrets(
        &self,
        client: &Client,
        new: Vec<StoredSecret>,
    ) -> Result<bool, RegistryError> {
        let change = (client.id.clone(), client.secrets.clone(), new);
        let replaced = ask(&self.console, change, Job::ReplaceSecrets).await;
        self.clients.remove(&client.id);
        replaced
    }
}

/// Notes uses in the truth.
pub(super) async fn note_all(truth: Truth, uses: Vec<SecretUse>) {
    let notes = uses.iter().map(|one| {
        truth
            .clients
            .note_secret_use(&one.client, one.secret, one.at)
    });
    for noted in join_all(notes).await {
        if let Err(error) = noted {
            tracing::debug!(error = %Chain(&error), "the use of a secret is not noted");
        }
    }
}

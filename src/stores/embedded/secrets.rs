//! Shared secrets in the file.

use async_trait::async_trait;
use redb::ReadTransaction;

use super::EmbeddedStore;
use super::tables::SECRETS;
use crate::stores::SecretStore;
use crate::stores::error::StoreError;

#[async_trait]
impl SecretStore for EmbeddedStore {
    async fn find_or_insert_secret(
        &self,
        name: &'static str,
        candidate: [u8; 32],
    ) -> Result<[u8; 32], StoreError> {
        let find = |transaction: &ReadTransaction| {
            let secrets = transaction.open_table(SECRETS)?;
            Ok(secrets.get(name)?.map(|secret| *secret.value()))
        };
        // Each start asks, and should not have to wait for the disk.
        if let Some(secret) = self.read(find).await? {
            return Ok(secret);
        }
        self.transact(move |transaction| {
            let mut secrets = transaction.open_table(SECRETS)?;
            let secret = secrets.entry(name)?.or_insert(&candidate)?;
            Ok(*secret.value())
        })
        .await
    }
}

//! The collection `secrets`: the name is the `_id`.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;

use crate::stores::SecretStore;
use crate::stores::error::StoreError;

use super::documents::{binary, date};
use super::{DUPLICATE_KEY, MongoStore, error_code, within_deadline};

#[async_trait]
impl SecretStore for MongoStore {
    async fn find_or_insert_secret(
        &self,
        name: &'static str,
        candidate: [u8; 32],
    ) -> Result<[u8; 32], StoreError> {
        let first = doc! {
            "secret": binary(&candidate),
            "created_at": date(self.clock.now()),
        };
        let update = doc! { "$setOnInsert": first };
        let by_name = doc! { "_id": name };
        let find_or_insert = async {
            let upsert = self
                .secrets
                .find_one_and_update(by_name.clone(), update)
                .upsert(true)
                .return_document(ReturnDocument::After);
            match upsert.await {
                // Another server inserted it between our look and our insert.
                Err(error) if error_code(&error) == Some(DUPLICATE_KEY) => {
                    self.secrets.find_one(by_name.clone()).await
                }
                answer => answer,
            }
        };
        let found = within_deadline(find_or_insert).await?;
        found.as_ref().and_then(secret).ok_or(StoreError::Corrupt {
            place: "secrets",
            what: "a secret is not 32 bytes",
        })
    }
}

fn secret(document: &Document) -> Option<[u8; 32]> {
    let bytes = document.get_binary_generic("secret").ok()?;
    bytes.as_slice().try_into().ok()
}

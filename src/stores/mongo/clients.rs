//! The collection `clients`.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};

use crate::domain::client::{Client, ClientId};
use crate::stores::ClientStore;
use crate::stores::error::{InsertError, StoreError};

use super::documents::client;
use super::{MongoStore, read_all, users, within_deadline};

#[async_trait]
impl ClientStore for MongoStore {
    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let filter = doc! { "client_id": id.as_str() };
        let Some(document) = within_deadline(self.clients.find_one(filter)).await? else {
            return Ok(None);
        };
        let corrupt = StoreError::Corrupt {
            place: "clients",
            what: "its _id is not an ObjectId",
        };
        client::read(&document).map(Some).ok_or(corrupt)
    }

    async fn insert_client(&self, client: &Client) -> Result<(), InsertError> {
        users::insert(&self.clients, client::write(client)).await?;
        Ok(())
    }

    async fn list_clients(
        &self,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, StoreError> {
        let mut filter = readable();
        if let Some(after) = after {
            let after = after.as_str();
            filter.insert("client_id", doc! { "$type": "string", "$gt": after });
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let by_identifier = doc! { "client_id": 1 };
        let find = self.clients.find(filter).sort(by_identifier).limit(limit);
        read_all(find, client::read).await
    }

    async fn count_clients(&self) -> Result<u64, StoreError> {
        within_deadline(self.clients.estimated_document_count()).await
    }
}

/// Leaves out what nobody wrote, so that a page is full unless it is the last one.
fn readable() -> Document {
    doc! { "_id": { "$type": "objectId" }, "client_id": { "$type": "string" } }
}

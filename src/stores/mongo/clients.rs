//! The collection `clients`.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use time::OffsetDateTime;

use crate::domain::client::{Client, ClientId};
use crate::domain::client_secret::{SecretId, StoredSecret};
use crate::domain::standing::Standing;
use crate::stores::error::{InsertError, StoreError};
use crate::stores::users_and_clients::{ClientChange, ClientStore};

use super::documents::{change, client, client_secrets};
use super::{MongoStore, in_order, one_batch, read_all, users, within_deadline};

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

    async fn update_client(
        &self,
        id: &ClientId,
        change: &ClientChange,
    ) -> Result<Option<Client>, StoreError> {
        let filter = doc! { "client_id": id.as_str() };
        let changed = users::update(&self.clients, filter, change::of_client(change)).await?;
        Ok(changed.as_deref().and_then(client::read))
    }

    async fn delete_client(&self, id: &ClientId, sessions_ended: u64) -> Result<bool, StoreError> {
        let named = doc! { "client_id": id.as_str() };
        users::remove(&self.clients, named, sessions_ended).await
    }

    async fn count_end_of_all_sessions(&self) -> Result<(), StoreError> {
        // The driver repeats no such update. Whoever asked repeats it: that it counts twice for
        // some does no harm.
        let all = doc! { "client_id": { "$gte": "" } };
        let counted = self.clients.update_many(all, change::counted());
        within_deadline(counted).await?;
        Ok(())
    }

    async fn replace_secrets(
        &self,
        id: &ClientId,
        old: &[StoredSecret],
        new: &[StoredSecret],
    ) -> Result<bool, StoreError> {
        let as_read = client_secrets::hashes(old);
        let filter = doc! { "client_id": id.as_str(), client_secrets::HASHES: as_read };
        let update = doc! { "$set": client_secrets::fields(new) };
        let replaced = within_deadline(self.clients.update_one(filter, update)).await?;
        Ok(replaced.matched_count > 0)
    }

    async fn note_secret_use(
        &self,
        id: &ClientId,
        secret: SecretId,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (mut filter, update) = client_secrets::used(secret, at);
        filter.insert("client_id", id.as_str());
        let noted = within_deadline(self.clients.update_one(filter, update)).await?;
        if noted.matched_count > 0 {
            return Ok(());
        }
        // A record with no more than hashes is written anew with what is known beside.
        let Some(client) = self.find_client(id).await? else {
            return Ok(());
        };
        let mut secrets = client.secrets.clone();
        let used = secrets.iter_mut().find(|own| own.id == secret);
        if let Some(used) = used {
            used.last_used_at = Some(at);
            self.replace_secrets(id, &client.secrets, &secrets).await?;
        }
        Ok(())
    }

    async fn find_client_standings(
        &self,
        ids: &[ClientId],
    ) -> Result<Vec<Option<Standing>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<&str> = ids.iter().map(ClientId::as_str).collect();
        let mut fields = change::standing_fields();
        fields.extend(doc! { "client_id": 1, "_id": 0 });
        let find = self.clients.find(doc! { "client_id": { "$in": texts } });
        let find = find.projection(fields).batch_size(one_batch(ids.len()));
        let found = read_all(find, change::read_of_client).await?;
        Ok(in_order(ids, &found.into_iter().collect()))
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

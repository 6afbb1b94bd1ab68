//! The collection `users`.

use std::collections::HashMap;

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use crate::domain::standing::Standing;
use crate::domain::user::{NewUser, PasswordHash, User, UserId};
use crate::stores::error::{InsertError, StoreError};
use crate::stores::users_and_clients::{FoundUser, UserChange, UserStore};

use super::documents::{change, object_id, user};
use super::{
    DUPLICATE_KEY, Documents, MongoStore, error_code, in_order, one_batch, read_all,
    within_deadline,
};

#[async_trait]
impl UserStore for MongoStore {
    async fn find_users(&self, usernames: &[String]) -> Result<Vec<FoundUser>, StoreError> {
        let find = self.users.find(doc! { "username": { "$in": usernames } });
        let named = |document: &RawDocument| Some((user::name(document)?, user::read(document)));
        let found = read_all(find.batch_size(one_batch(usernames.len())), named).await?;
        let found: HashMap<String, Option<User>> = found.into_iter().collect();
        let corrupt = || StoreError::Corrupt {
            place: "users",
            what: "its _id is not an ObjectId",
        };
        let of_name = |name| match found.get(name) {
            Some(user) => user.clone().map(Some).ok_or_else(corrupt),
            None => Ok(None),
        };
        Ok(usernames.iter().map(of_name).collect())
    }

    async fn find_users_by_id(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let object_ids: Vec<ObjectId> = ids.iter().copied().map(object_id).collect();
        let find = self.users.find(doc! { "_id": { "$in": object_ids } });
        let users = read_all(find.batch_size(one_batch(ids.len())), user::read).await?;
        let users = users.into_iter().map(|user| (user.id, user));
        let found: HashMap<UserId, User> = users.collect();
        Ok(in_order(ids, &found))
    }

    async fn insert_user(&self, user: &NewUser) -> Result<User, InsertError> {
        let id = ObjectId::new();
        let document = insert(&self.users, user::write(id, user)).await?;
        let corrupt = StoreError::Corrupt {
            place: "users",
            what: "the new document cannot be read",
        };
        Ok(user::read(&document).ok_or(corrupt)?)
    }

    async fn replace_password_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError> {
        let filter = doc! { "_id": object_id(id), "hashpw": { "$in": user::hash_forms(old) } };
        let update = doc! { "$set": user::hash_fields(new) };
        within_deadline(self.users.update_one(filter, update)).await?;
        Ok(())
    }

    async fn update_user(
        &self,
        id: UserId,
        change: &UserChange,
    ) -> Result<Option<User>, StoreError> {
        let filter = doc! { "_id": object_id(id) };
        let changed = update(&self.users, filter, change::of_user(change)).await?;
        Ok(changed.as_deref().and_then(user::read))
    }

    async fn delete_user(&self, id: UserId, sessions_ended: u64) -> Result<bool, StoreError> {
        let named = doc! { "_id": object_id(id) };
        remove(&self.users, named, sessions_ended).await
    }

    async fn find_user_standings(
        &self,
        ids: &[UserId],
    ) -> Result<Vec<Option<Standing>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let object_ids: Vec<ObjectId> = ids.iter().copied().map(object_id).collect();
        let find = self.users.find(doc! { "_id": { "$in": object_ids } });
        let find = find.projection(change::standing_fields());
        let found = read_all(find.batch_size(one_batch(ids.len())), change::read_of_user);
        Ok(in_order(ids, &found.await?.into_iter().collect()))
    }

    async fn list_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        let mut filter = readable();
        if let Some(after) = after {
            filter.insert("_id", doc! { "$type": "objectId", "$gt": object_id(after) });
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let find = self.users.find(filter).sort(doc! { "_id": 1 }).limit(limit);
        read_all(find, user::read).await
    }

    async fn count_users(&self) -> Result<u64, StoreError> {
        within_deadline(self.users.estimated_document_count()).await
    }
}

/// Stores a new document whose name must be unique, and gives it as it is stored.
pub(super) async fn insert(
    collection: &Documents,
    document: Document,
) -> Result<RawDocumentBuf, InsertError> {
    let insert = async {
        let document = RawDocumentBuf::try_from(document)?;
        match collection.insert_one(&document).await {
            Ok(_) => Ok(Some(document)),
            Err(error) if error_code(&error) == Some(DUPLICATE_KEY) => Ok(None),
            Err(error) => Err(error),
        }
    };
    within_deadline(insert).await?.ok_or(InsertError::Taken)
}

/// Makes a change to one document, and gives it as it is then; a change of nothing reads it.
pub(super) async fn update(
    collection: &Documents,
    filter: Document,
    update: Document,
) -> Result<Option<RawDocumentBuf>, StoreError> {
    if update.is_empty() {
        return within_deadline(collection.find_one(filter)).await;
    }
    let changed = collection.find_one_and_update(filter, update);
    within_deadline(changed.return_document(ReturnDocument::After)).await
}

/// Removes a document that is disabled and whose sessions were ended just so often, and tells
/// whether it is there no more.
pub(super) async fn remove(
    collection: &Documents,
    named: Document,
    sessions_ended: u64,
) -> Result<bool, StoreError> {
    let mut removable = named.clone();
    removable.extend(change::removable(sessions_ended));
    let removed = within_deadline(collection.delete_one(removable)).await?;
    if removed.deleted_count > 0 {
        return Ok(true);
    }
    let left = collection.find_one(named).projection(doc! { "_id": 1 });
    Ok(within_deadline(left).await?.is_none())
}

/// Leaves out what nobody wrote, so that a page is full unless it is the last one.
fn readable() -> Document {
    doc! { "_id": { "$type": "objectId" }, "username": { "$type": "string" } }
}

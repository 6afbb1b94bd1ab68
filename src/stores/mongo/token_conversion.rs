//! How tokens are kept: noted beside the secrets, which all servers share as well. A database without
//! the note has tokens as they are: Flask-Sentinel or an earlier server made it.

use std::sync::{MutexGuard, PoisonError};

use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::{Document, doc, rawdoc};
use mongodb::options::ReadConcern;

use crate::domain::token::EndedToken;
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::stores::error::StoreError;
use crate::stores::token_conversion::TokenConversion;

use super::documents::ended_token;
use super::grouped::MOST_WRITES;
use super::{
    MongoStore, Refusal, STORE, WRITE_TIMEOUT, error_code, one_batch, read_all, within_deadline,
};

/// The `_id` of the note.
const NOTE: &str = "token_storage";
const PLAIN: &str = "plain";
const HASHED: &str = "hashed";
const CHANGING: &str = "changing";

/// What a server says that is of no replica set.
const NOT_A_REPLICA_SET: i32 = 123;

#[async_trait]
impl TokenConversion for MongoStore {
    async fn token_storage(&self) -> Result<Option<TokenStorage>, StoreError> {
        let storage = find_storage(&self.secrets).await?;
        *self.own_storage() = storage;
        Ok(storage)
    }

    async fn begin_conversion(&self) -> Result<(), StoreError> {
        self.note(CHANGING).await
    }

    async fn finish_conversion(&self, storage: TokenStorage) -> Result<(), StoreError> {
        let text = match storage {
            TokenStorage::Plain => PLAIN,
            TokenStorage::Hashed => HASHED,
        };
        self.note(text).await?;
        *self.own_storage() = Some(storage);
        Ok(())
    }

    async fn list_all_ends(
        &self,
        after: Option<&TokenKey>,
        limit: usize,
    ) -> Result<Vec<EndedToken>, StoreError> {
        let last = after.map_or("", TokenKey::expose);
        let filter = doc! { "_id": { "$gt": last } };
        let find = self.ended_tokens.find(filter).sort(doc! { "_id": 1 });
        let find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        read_all(find.batch_size(one_batch(limit)), ended_token::read).await
    }

    async fn forget_ends(&self, access_tokens: &[TokenKey]) -> Result<(), StoreError> {
        for group in access_tokens.chunks(MOST_WRITES) {
            let deletes = group
                .iter()
                .map(|token| rawdoc! { "q": { "_id": token.expose() }, "limit": 1 })
                .collect();
            self.delete_grouped("ended_tokens", deletes).await?;
        }
        Ok(())
    }
}

/// How tokens are kept; `None` where a change was begun and not finished.
pub(super) async fn find_storage(
    secrets: &Collection<Document>,
) -> Result<Option<TokenStorage>, StoreError> {
    let note = within_deadline(secrets.find_one(doc! { "_id": NOTE })).await?;
    read(note.as_ref())
}

impl MongoStore {
    fn own_storage(&self) -> MutexGuard<'_, Option<TokenStorage>> {
        let own = self.token_storage.lock();
        own.unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, storage: &str) -> Result<(), StoreError> {
        let update = doc! { "$set": { "storage": storage } };
        let update = self.secrets.update_one(doc! { "_id": NOTE }, update);
        within_deadline(update.upsert(true)).await.map(drop)
    }

    /// Lets a majority confirm the primary, and thereby what is read from now on; and that tokens are
    /// still kept as when this server began. What it does not find may be there in the other form.
    //
    // A write that changes nothing would not do: it waits for the last entry of the log, which a
    // majority may have had long before this server was cut off from it. A linearizable read writes
    // an entry of its own, and answers when a majority has that.
    pub(super) async fn confirm_primary(&self) -> Result<(), StoreError> {
        let read_note = || self.secrets.find_one(doc! { "_id": NOTE });
        let confirmed = read_note()
            .read_concern(ReadConcern::linearizable())
            .max_time(WRITE_TIMEOUT);
        let note = within_deadline(async {
            match confirmed.await {
                // A single server has no successor.
                Err(error) if error_code(&error) == Some(NOT_A_REPLICA_SET) => read_note().await,
                answer => answer,
            }
        });
        let storage = read(note.await?.as_ref())?;
        let own = *self.own_storage();
        match own {
            Some(_) if own != storage => Err(StoreError::Unavailable {
                store: STORE,
                source: Refusal(OUTDATED.to_owned()).into(),
            }),
            _ => Ok(()),
        }
    }
}

const OUTDATED: &str = "its tokens are kept in another way since this server was started; start it \
                        again with the SENTINEL_TOKEN_STORAGE of the others";

fn read(note: Option<&Document>) -> Result<Option<TokenStorage>, StoreError> {
    match note.map(|note| note.get_str("storage")) {
        None | Some(Ok(PLAIN)) => Ok(Some(TokenStorage::Plain)),
        Some(Ok(HASHED)) => Ok(Some(TokenStorage::Hashed)),
        Some(Ok(CHANGING)) => Ok(None),
        Some(_) => Err(StoreError::Corrupt {
            place: "secrets",
            what: "token_storage is neither plain nor hashed",
        }),
    }
}

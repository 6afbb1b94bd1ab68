//! How tokens are kept: noted beside the secrets, which all servers share as well.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::ReadConcern;
use mongodb::{Collection, Database};

use crate::domain::token::EndedToken;
use crate::domain::token_key::TokenStorage;
use crate::stores::ends::{EndsMark, EndsPage};
use crate::stores::error::StoreError;
use crate::stores::token_conversion::{KeptTokens, TokenConversion};

use super::{
    DUPLICATE_KEY, MongoStore, Refusal, STORE, WRITE_TIMEOUT, error_code, unavailable,
    within_deadline,
};

/// The `_id` of the note.
const NOTE: &str = "token_storage";
const PLAIN: &str = "plain";
const HASHED: &str = "hashed";
const HASHING: &str = "hashing";

/// What the index of access tokens has to be gone through for where there is no note: once, as a rule.
const SEARCH_DEADLINE: Duration = Duration::from_mins(10);
/// What a server says that is of no replica set.
const NOT_A_REPLICA_SET: i32 = 123;

/// What a server is told whose setting is not that of the others any more.
const OUTDATED: &str = "its tokens are kept in another way since this server was started; start it \
                        again with the SENTINEL_TOKEN_STORAGE of the others";

#[async_trait]
impl TokenConversion for MongoStore {
    async fn kept_tokens(&self) -> Result<KeptTokens, StoreError> {
        let noted = noted(&self.secrets).await?;
        let kept = match noted {
            Some(kept) => kept,
            None => search(&self.database).await?,
        };
        if let KeptTokens::All(storage) = kept {
            if noted.is_none() {
                self.note_storage(storage).await?;
            }
            *self.own_storage() = Some(storage);
        }
        Ok(kept)
    }

    async fn begin_hashing(&self) -> Result<(), StoreError> {
        let undone = doc! { "_id": NOTE, "storage": { "$ne": HASHED } };
        let update = doc! { "$set": { "storage": HASHING } };
        let begin = self.secrets.update_one(undone, update).upsert(true);
        let unless_done = async {
            match begin.await {
                Err(error) if error_code(&error) == Some(DUPLICATE_KEY) => Ok(()),
                answer => answer.map(drop),
            }
        };
        within_deadline(unless_done).await
    }

    async fn note_storage(&self, storage: TokenStorage) -> Result<(), StoreError> {
        let text = match storage {
            TokenStorage::Plain => PLAIN,
            TokenStorage::Hashed => HASHED,
        };
        let update = doc! { "$set": { "storage": text } };
        let update = self.secrets.update_one(doc! { "_id": NOTE }, update);
        within_deadline(update.upsert(true)).await?;
        *self.own_storage() = Some(storage);
        Ok(())
    }

    async fn list_all_ends(
        &self,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        self.all_ends_after(after, limit).await
    }

    async fn forget_ends(&self, ends: &[EndedToken]) -> Result<(), StoreError> {
        self.forget(ends).await
    }
}

impl MongoStore {
    fn own_storage(&self) -> MutexGuard<'_, Option<TokenStorage>> {
        let own = self.token_storage.lock();
        own.unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a majority confirm the primary, and thereby what is read from now on; and that tokens are
    /// still kept as when this server began. What it does not find may be there in the other form.
    pub(super) async fn confirm_primary(&self) -> Result<(), StoreError> {
        let noted = noted(&self.secrets).await?;
        self.check_storage(noted)
    }

    /// Whether MongoDB answers, and tokens are kept as when this server began.
    pub(super) async fn look_at_storage(&self) -> Result<(), StoreError> {
        let note = within_deadline(self.secrets.find_one(doc! { "_id": NOTE })).await?;
        self.check_storage(read(note.as_ref())?)
    }

    fn check_storage(&self, noted: Option<KeptTokens>) -> Result<(), StoreError> {
        let own = self.own_storage().map(KeptTokens::All);
        if own.is_none() || noted.is_none() || own == noted {
            return Ok(());
        }
        Err(StoreError::Unavailable {
            store: STORE,
            source: Refusal(OUTDATED.to_owned()).into(),
        })
    }
}

/// How the tokens of a database are kept; makes and changes nothing.
pub(super) async fn find_kept_tokens(database: &Database) -> Result<KeptTokens, StoreError> {
    let noted = noted(&database.collection("secrets")).await?;
    match noted {
        Some(kept) => Ok(kept),
        None => search(database).await,
    }
}

// A write that changes nothing would not do: it waits for the last entry of the log, which a
// majority may have had long before this server was cut off from it. A linearizable read writes
// an entry of its own, and answers when a majority has that.
async fn noted(secrets: &Collection<Document>) -> Result<Option<KeptTokens>, StoreError> {
    let read_note = || secrets.find_one(doc! { "_id": NOTE });
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
    read(note.await?.as_ref())
}

// Without a note the tokens are as they are: Flask-Sentinel or an earlier server wrote them. But a
// note may get lost, and hashes must not be served as tokens then.
async fn search(database: &Database) -> Result<KeptTokens, StoreError> {
    let hashed = doc! { "access_token": { "$regex": "^[0-9a-f]{64}$" } };
    let tokens: Collection<Document> = database.collection("tokens");
    let find = tokens.find_one(hashed).projection(doc! { "_id": 1 });
    let found = tokio::time::timeout(SEARCH_DEADLINE, find.into_future()).await;
    let found = found.map_err(|_elapsed| StoreError::Timeout { store: STORE })?;
    Ok(match found.map_err(unavailable)? {
        Some(_) => KeptTokens::Hashing,
        None => KeptTokens::All(TokenStorage::Plain),
    })
}

fn read(note: Option<&Document>) -> Result<Option<KeptTokens>, StoreError> {
    match note.map(|note| note.get_str("storage")) {
        None => Ok(None),
        Some(Ok(PLAIN)) => Ok(Some(KeptTokens::All(TokenStorage::Plain))),
        Some(Ok(HASHED)) => Ok(Some(KeptTokens::All(TokenStorage::Hashed))),
        Some(Ok(HASHING)) => Ok(Some(KeptTokens::Hashing)),
        Some(_) => Err(StoreError::Corrupt {
            place: "secrets",
            what: "token_storage is neither plain nor hashed",
        }),
    }
}

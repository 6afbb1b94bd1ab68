//! The truth in MongoDB: the collections `users`, `clients` and `tokens` of Flask-Sentinel 0.0.7,
//! taken over as they stand, beside `ended_tokens`, `attempts` and `secrets` of our own.
//!
//! Fields of our own are added, none of Flask-Sentinel's is renamed: `documents` knows both. Writes
//! are acknowledged by a majority and journaled; reads go to the primary; each operation has a
//! deadline.
//!
//! What does not live here: which tokens are live (`domain`), Redis (`stores::redis`).

mod attempts;
mod clients;
mod connect;
mod documents;
mod earlier_ends;
mod ends;
mod grouped;
mod indexes;
mod secrets;
mod sessions;
mod token_conversion;
mod token_writes;
mod tokens;
mod users;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::action::Find;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::{Collection, Database};

use crate::clock::Clock;
use crate::domain::token_key::TokenStorage;
use crate::settings::MongoSettings;

use super::Truth;
use super::error::{OpenError, StoreError};
use super::token_conversion::KeptTokens;

/// How long one operation may take, repeats included: half of what a request has. It is enough to
/// look for a server for two seconds, or to notice within one and a half that a connection has
/// fallen silent and to ask again on another; and nobody behind it waits longer than that for a
/// server that is back.
const OPERATION_DEADLINE: Duration = Duration::from_millis(2_500);
/// How long the server waits for a majority, so that it says itself that there was none.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// The server's code for a value that a unique index already holds.
const DUPLICATE_KEY: i32 = 11_000;
/// The name of this store in errors.
const STORE: &str = "MongoDB";

/// A collection whose documents are read and written as they stand on the wire: to take each apart
/// into a map costs more than all else that is done with it.
type Documents = Collection<RawDocumentBuf>;

/// The collections of one database.
struct MongoStore {
    database: Database,
    users: Documents,
    clients: Documents,
    tokens: Documents,
    ended_tokens: Documents,
    attempts: Documents,
    secrets: Collection<Document>,
    /// How tokens are kept, once that is known.
    token_storage: Mutex<Option<TokenStorage>>,
    clock: Clock,
}

/// How many connections the driver opens at most: to members that are not the primary it needs two,
/// for their signs of life, and to the primary a pool; to an earlier one, for a while, as many.
pub(super) fn most_connections(settings: &MongoSettings) -> usize {
    connect::most_connections(settings)
}

/// Tells whether MongoDB can be reached, and how the tokens in it are kept; makes and changes nothing.
///
/// # Errors
/// As [`open`], but never [`OpenError::Duplicates`].
pub async fn reach(settings: &MongoSettings) -> Result<KeptTokens, OpenError> {
    let client = connect::connect(settings).await?;
    let database = client.database(&settings.database);
    let kept = token_conversion::find_kept_tokens(&database).await;
    kept.map_err(|error| connect::unusable(settings, &error))
}

/// Connects to MongoDB and makes the indexes that the contract of the stores needs.
///
/// # Errors
/// [`OpenError::Unusable`] for a bad connection string, refused credentials or an index of
/// another shape; [`OpenError::Unreachable`] when no server answered within 10 seconds;
/// [`OpenError::Duplicates`] when the data break a unique index.
pub async fn open(settings: &MongoSettings, clock: &Clock) -> Result<Truth, OpenError> {
    let client = connect::connect(settings).await?;
    let database = client.database(&settings.database);
    let store = Arc::new(MongoStore {
        users: database.collection("users"),
        clients: database.collection("clients"),
        tokens: database.collection("tokens"),
        ended_tokens: database.collection("ended_tokens"),
        attempts: attempts::collection(&database),
        secrets: database.collection("secrets"),
        database,
        token_storage: Mutex::default(),
        clock: clock.clone(),
    });
    indexes::create(&store).await?;
    let gathered = earlier_ends::gather(&store).await;
    gathered.map_err(|error| connect::unusable(settings, &error))?;
    Ok(Truth {
        users: Arc::<MongoStore>::clone(&store) as _,
        clients: Arc::<MongoStore>::clone(&store) as _,
        tokens: Arc::<MongoStore>::clone(&store) as _,
        attempts: Arc::<MongoStore>::clone(&store) as _,
        secrets: Arc::<MongoStore>::clone(&store) as _,
        conversion: store,
    })
}

/// Waits for an operation until its deadline.
async fn within_deadline<T>(
    operation: impl IntoFuture<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(OPERATION_DEADLINE, operation.into_future()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unavailable(error)),
        Err(_) => Err(StoreError::Timeout { store: STORE }),
    }
}

/// All documents that a query finds, but those that cannot be read.
async fn read_all<T>(
    find: Find<'_, RawDocumentBuf>,
    read: impl Fn(&RawDocument) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let found = async {
        let mut cursor = find.await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            found.extend(read(cursor.current()));
        }
        Ok(found)
    };
    within_deadline(found).await
}

/// What MongoDB or its driver said, without what could quote a document.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn unavailable(error: Error) -> StoreError {
    let said = match error.kind.as_ref() {
        ErrorKind::Command(command) => format!("code {} ({})", command.code, command.code_name),
        ErrorKind::Write(_) | ErrorKind::InsertMany(_) | ErrorKind::BulkWrite(_) => {
            format!(
                "a write was refused with code {}",
                error_code(&error).unwrap_or_default()
            )
        }
        _ => connect::brief(&error.to_string()),
    };
    StoreError::Unavailable {
        store: STORE,
        source: Refusal(said).into(),
    }
}

/// The server's code of a failed command or write.
fn error_code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// What was found, in the order in which it was asked for.
fn in_order<K: Hash + Eq, V: Clone>(asked: &[K], found: &HashMap<K, V>) -> Vec<Option<V>> {
    asked.iter().map(|key| found.get(key).cloned()).collect()
}

/// The first answer has all documents of a batch: no second trip for the rest.
fn one_batch(asked: usize) -> u32 {
    u32::try_from(asked)
        .unwrap_or(u32::MAX - 1)
        .saturating_add(1)
}

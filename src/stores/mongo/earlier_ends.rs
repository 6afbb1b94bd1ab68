//! Ends as earlier versions remembered them: a document for each, under its access token. A start makes
//! rounds of them; if it is killed in between, the next one remembers some twice.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawDocument, doc};
use mongodb::options::Hint;
use tracing::warn;

use crate::domain::token::{EndedToken, RecordId};
use crate::stores::ends::SettledRounds;
use crate::stores::error::StoreError;

use super::documents::fields::Fields;
use super::{MongoStore, one_batch, read_all, within_deadline};

/// Ends that become one round.
const TOGETHER: usize = 250;

/// An end, if it can be read, and what it is called.
type Earlier = (String, Option<EndedToken>);

/// Makes rounds of all that there are.
pub(super) async fn gather(store: &MongoStore) -> Result<(), StoreError> {
    loop {
        let round = RecordId(ObjectId::new().bytes());
        let find = store
            .ended_tokens
            .find(doc! { "_id": { "$type": "string" } });
        let find = find.hint(Hint::Keys(doc! { "_id": 1 }));
        let limit = i64::try_from(TOGETHER).unwrap_or(i64::MAX);
        let find = find.limit(limit).batch_size(one_batch(TOGETHER));
        let page = read_all(find, |document| read(document, round)).await?;
        let (names, ends): (Vec<String>, Vec<_>) = page.into_iter().unzip();
        if names.is_empty() {
            return Ok(());
        }
        let ends: Vec<EndedToken> = ends.into_iter().flatten().collect();
        if ends.len() < names.len() {
            let unreadable = names.len() - ends.len();
            warn!(
                unreadable,
                "documents of the ended_tokens collection are dropped"
            );
        }
        store.remember(&ends, &SettledRounds::new()).await?;
        let gathered = doc! { "_id": { "$in": names } };
        within_deadline(store.ended_tokens.delete_many(gathered)).await?;
    }
}

fn read(document: &RawDocument, round: RecordId) -> Option<Earlier> {
    let fields = Fields::of(document);
    let end = || {
        Some(EndedToken {
            access_token: fields.token("_id")?,
            refresh_token: fields.token("refresh_token"),
            family: fields.record_id("family")?,
            ended_at: fields.instant("ended_at")?,
            access_expires_at: fields.instant("expires")?,
            forget_at: fields.instant("forget_at")?,
            round,
            is_answered: !fields.has("unanswered"),
            is_published: !fields.has("unpublished"),
        })
    };
    Some((fields.text("_id")?.to_owned(), end()))
}

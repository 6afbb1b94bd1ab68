//! The collection `tokens`, listed: the pairs of somebody, and all that live.

use mongodb::action::Find;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use time::OffsetDateTime;

use crate::domain::standing::SessionsOf;
use crate::domain::token::{RecordId, TokenRecord};
use crate::stores::error::StoreError;

use super::documents::fields::Fields;
use super::documents::{date, object_id, token};
use super::{MongoStore, one_batch, read_all};

impl MongoStore {
    /// A page of the pairs of a user, of a client or of all, by identifier.
    pub(super) async fn sessions_after(
        &self,
        of: &SessionsOf,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let mut filter = match of {
            SessionsOf::User(id) => doc! { "user_id": object_id(*id) },
            SessionsOf::Client(id) => doc! { "client_id": id.as_str() },
            SessionsOf::Everyone => Document::new(),
        };
        // With a bound below, all are found by the index on identifiers, too.
        let mut after = after.unwrap_or(RecordId([0; 12]));
        loop {
            filter.insert("_id", doc! { "$gt": object_id(after) });
            let find = self.listed(filter.clone(), doc! { "_id": 1 }, limit);
            let page = read_all(find, |document| {
                Some((
                    Fields::of(document).record_id("_id")?,
                    token::read(document),
                ))
            });
            let page = page.await?;
            let last = page.last().map(|(id, _)| *id);
            let records: Vec<TokenRecord> = page.into_iter().filter_map(|(_, one)| one).collect();
            match last {
                // What cannot be read is no sign of the end.
                Some(last) if records.is_empty() => after = last,
                _ => return Ok(records),
            }
        }
    }

    /// A page of the live pairs, from the latest expiry on.
    pub(super) async fn live_after(
        &self,
        now: OffsetDateTime,
        after: Option<&TokenRecord>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let mut filter = doc! { "expires": { "$gt": date(now) } };
        if let Some(last) = after {
            let expires = date(last.expires_at);
            let id = object_id(last.id);
            let earlier = doc! { "expires": { "$lt": expires } };
            let as_late = doc! { "expires": expires, "_id": { "$lt": id } };
            filter.insert("$or", [earlier, as_late]);
        }
        let find = self.listed(filter, doc! { "expires": -1, "_id": -1 }, limit);
        read_all(find, token::read).await
    }

    fn listed(&self, filter: Document, order: Document, limit: usize) -> Find<'_, RawDocumentBuf> {
        let find = self.tokens.find(filter).sort(order);
        let find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        find.batch_size(one_batch(limit))
    }
}

//! The collection `ended_tokens`: what became of the ends, and which are still to be carried out.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawArrayBuf;
use mongodb::bson::{doc, rawdoc};
use mongodb::options::Hint;
use time::OffsetDateTime;

use crate::domain::token::{EndedToken, FamilyId};
use crate::domain::token_key::TokenKey;
use crate::stores::Ends;
use crate::stores::error::StoreError;

use super::documents::{date, ended_token, object_id};
use super::grouped::MOST_WRITES;
use super::{MongoStore, one_batch, read_all, within_deadline};

impl MongoStore {
    /// Takes marks off ends, in one write.
    pub(super) async fn settle(
        &self,
        answered: &[TokenKey],
        published: &[TokenKey],
    ) -> Result<(), StoreError> {
        let updates = ended_token::settle(answered, published);
        if updates.is_empty() {
            return Ok(());
        }
        if !answered.is_empty() {
            self.update_grouped("ended_tokens", updates).await?;
            return Ok(());
        }
        // A mark that comes back in a crash does no harm, so the journal is not waited for.
        let command = rawdoc! {
            "update": "ended_tokens",
            "updates": RawArrayBuf::from_iter(updates),
            "ordered": false,
            "writeConcern": { "w": 1, "j": false },
        };
        within_deadline(self.database.run_raw_command(command)).await?;
        Ok(())
    }

    /// The ends of these families that Redis may not have been told.
    pub(super) async fn unpublished_of(
        &self,
        families: &[FamilyId],
    ) -> Result<Vec<EndedToken>, StoreError> {
        if families.is_empty() {
            return Ok(Vec::new());
        }
        let families: Vec<ObjectId> = families.iter().copied().map(object_id).collect();
        let mut filter = ended_token::is_unpublished();
        filter.insert("family", doc! { "$in": families });
        let find = self.ended_tokens.find(filter);
        read_all(find.batch_size(one_batch(MOST_WRITES)), ended_token::read).await
    }

    /// A page of the ends, in the order of their expiry.
    pub(super) async fn ends_after(
        &self,
        which: Ends,
        now: OffsetDateTime,
        after: Option<&EndedToken>,
        limit: usize,
    ) -> Result<Vec<EndedToken>, StoreError> {
        let mut filter = match after {
            None => doc! { "expires": { "$gt": date(now) } },
            Some(end) => {
                let expires = date(end.access_expires_at);
                let token = end.access_token.expose();
                doc! { "$or": [
                    { "expires": { "$gt": expires } },
                    { "expires": expires, "_id": { "$gt": token } },
                ] }
            }
        };
        let mut order = doc! { "expires": 1, "_id": 1 };
        if which == Ends::Unpublished {
            filter.extend(ended_token::is_unpublished());
            order = ended_token::unpublished_in_order();
        }
        // Else the server may look for unpublished ones among all, and read each.
        let find = self.ended_tokens.find(filter).sort(order.clone());
        let find = find.hint(Hint::Keys(order));
        let find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        read_all(find.batch_size(one_batch(limit)), ended_token::read).await
    }
}

//! The collection `ended_tokens`: remembering ends, finding them, and what became of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawArrayBuf;
use mongodb::bson::{Document, doc, rawdoc};
use mongodb::options::Hint;
use time::OffsetDateTime;

use crate::domain::token::{EndedToken, FamilyId};
use crate::domain::token_key::TokenKey;
use crate::stores::ends::{Ends, EndsMark, EndsPage, SettledRounds};
use crate::stores::error::StoreError;

use super::documents::{date, ended_round, object_id, texts};
use super::grouped::MOST_WRITES;
use super::{MongoStore, in_order, one_batch, read_all, within_deadline};

impl MongoStore {
    /// Remembers ends, a document for each round, and takes marks off earlier ones, in one write.
    pub(super) async fn remember(
        &self,
        ends: &[EndedToken],
        rounds: &SettledRounds,
    ) -> Result<(), StoreError> {
        let mut updates = ended_round::settle(rounds);
        updates.extend(ended_round::remember(ends));
        for group in updates.chunks(MOST_WRITES) {
            self.update_grouped("ended_tokens", group.to_vec()).await?;
        }
        Ok(())
    }

    /// The ends of these refresh tokens.
    pub(super) async fn ends_of(
        &self,
        refresh_tokens: &[TokenKey],
    ) -> Result<Vec<Option<EndedToken>>, StoreError> {
        let any = doc! { "$in": texts(refresh_tokens) };
        let mut found: HashMap<TokenKey, EndedToken> = HashMap::new();
        for end in self.ends_where(doc! { "ends.refresh_token": any }).await? {
            let Some(refresh_token) = end.refresh_token.clone() else {
                continue;
            };
            match found.entry(refresh_token) {
                Entry::Vacant(place) => {
                    place.insert(end);
                }
                Entry::Occupied(mut first) => {
                    let first = first.get_mut();
                    first.is_answered |= end.is_answered;
                    first.is_published |= end.is_published;
                }
            }
        }
        Ok(in_order(refresh_tokens, &found))
    }

    /// Takes marks off ends, in one write.
    pub(super) async fn settle(&self, rounds: &SettledRounds) -> Result<(), StoreError> {
        let updates = ended_round::settle(rounds);
        if updates.is_empty() {
            return Ok(());
        }
        if rounds.values().any(|settled| !settled.answered.is_empty()) {
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
        let ids: Vec<ObjectId> = families.iter().copied().map(object_id).collect();
        let mut filter = ended_round::is_unpublished();
        filter.insert("ends.family", doc! { "$in": ids });
        let mut ends = self.ends_where(filter).await?;
        ends.retain(|end| !end.is_published && families.contains(&end.family));
        Ok(ends)
    }

    /// The ends of all rounds with one that a filter finds.
    async fn ends_where(&self, filter: Document) -> Result<Vec<EndedToken>, StoreError> {
        let find = self
            .ended_tokens
            .find(filter)
            .batch_size(one_batch(MOST_WRITES));
        let rounds = read_all(find, ended_round::read).await?;
        Ok(rounds.into_iter().flat_map(|round| round.ends).collect())
    }

    /// A page of the ends, in the order of the expiry of their rounds.
    pub(super) async fn ends_after(
        &self,
        which: Ends,
        now: OffsetDateTime,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        let mut filter = match after {
            None => doc! { "expires": { "$gt": date(now) } },
            Some(mark) => {
                let expires = date(mark.expires_at);
                doc! { "$or": [
                    { "expires": { "$gt": expires } },
                    { "expires": expires, "_id": { "$gt": named(mark)? } },
                ] }
            }
        };
        filter.insert("_id", a_name());
        let mut order = doc! { "expires": 1, "_id": 1 };
        if which == Ends::Unpublished {
            filter.extend(ended_round::is_unpublished());
            order = ended_round::unpublished_in_order();
        }
        // Else the server may look for unpublished ones among all, and read each.
        let mut page = self.page_of_ends(filter, order, limit).await?;
        page.ends
            .retain(|end| end.access_expires_at > now && (which == Ends::All || !end.is_published));
        Ok(page)
    }

    /// A page of all ends, in the order of the names of their rounds.
    pub(super) async fn all_ends_after(
        &self,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        let filter = match after {
            None => doc! { "_id": a_name() },
            Some(mark) => doc! { "_id": { "$gt": named(mark)? } },
        };
        self.page_of_ends(filter, doc! { "_id": 1 }, limit).await
    }

    async fn page_of_ends(
        &self,
        filter: Document,
        order: Document,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        let find = self.ended_tokens.find(filter).sort(order.clone());
        let find = find.hint(Hint::Keys(order)).batch_size(one_batch(limit));
        let find = find.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let rounds = read_all(find, ended_round::read).await?;
        let last = rounds.last().filter(|_| rounds.len() >= limit);
        let next = last.map(|round| round.mark.clone());
        let ends = rounds.into_iter().flat_map(|round| round.ends).collect();
        Ok(EndsPage { ends, next })
    }

    /// Forgets the rounds of these ends.
    pub(super) async fn forget(&self, ends: &[EndedToken]) -> Result<(), StoreError> {
        let rounds = ends.chunk_by(|one, next| one.round == next.round);
        let rounds = rounds.filter_map(|ends| Some(object_id(ends.first()?.round)));
        let rounds: Vec<ObjectId> = rounds.collect();
        for group in rounds.chunks(MOST_WRITES) {
            let one = |round: &ObjectId| rawdoc! { "q": { "_id": *round }, "limit": 1 };
            let deletes = group.iter().map(one).collect();
            self.delete_grouped("ended_tokens", deletes).await?;
        }
        Ok(())
    }
}

/// What a round is called. Nothing else has a place in their order, and a page of nothing that has
/// one would be taken for the last.
fn a_name() -> Document {
    doc! { "$type": "objectId" }
}

/// The name of a round that was listed.
fn named(mark: &EndsMark) -> Result<ObjectId, StoreError> {
    ObjectId::parse_str(&mark.name).map_err(|_not_ours| StoreError::Corrupt {
        place: "ended_tokens",
        what: "a page does not end with a round of this store",
    })
}

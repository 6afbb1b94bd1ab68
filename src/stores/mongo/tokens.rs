//! The collections `tokens` and `ended_tokens`: finding. Writing is in `token_writes`, listing in
//! `sessions`, what became of ends in `ends`.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures_util::future;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, doc};
use time::OffsetDateTime;

use crate::domain::client::ClientId;
use crate::domain::standing::SessionsOf;
use crate::domain::token::{EndedToken, FamilyId, Grant, GrantUser, RecordId, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::user::UserId;
use crate::stores::ends::{Ends, EndsMark, EndsPage, SettledRounds};
use crate::stores::error::StoreError;
use crate::stores::{TokenStore, TokenWrite};

use super::documents::fields::Fields;
use super::documents::{object_id, texts, token, user};
use super::grouped::MOST_WRITES;
use super::{MongoStore, in_order, one_batch, read_all};

#[async_trait]
impl TokenStore for MongoStore {
    async fn find_grants(&self, tokens: &[TokenKey]) -> Result<Vec<Option<Grant>>, StoreError> {
        let records = self.find_by_access_token(tokens).await?;
        let of_users: HashSet<UserId> =
            records.iter().flatten().filter_map(|r| r.user_id).collect();
        let of_clients = records.iter().flatten().map(|r| &r.client_id).collect();
        let (users, clients) = future::try_join(
            self.enabled_users(&of_users),
            self.enabled_clients(&of_clients),
        )
        .await?;
        let grant = |record: TokenRecord| grant(record, &users, &clients);
        Ok(records
            .into_iter()
            .map(|record| record.and_then(grant))
            .collect())
    }

    async fn find_by_access_token(
        &self,
        tokens: &[TokenKey],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let filter = doc! { "access_token": { "$in": texts(tokens) } };
        let records = self.find_records(filter, tokens.len()).await?;
        let found = records.into_iter().map(|r| (r.access_token.clone(), r));
        Ok(in_order(tokens, &found.collect()))
    }

    async fn find_present(&self, tokens: &[TokenKey]) -> Result<HashSet<TokenKey>, StoreError> {
        if tokens.is_empty() {
            return Ok(HashSet::new());
        }
        // The index has all that is asked for: no document is read.
        let filter = doc! { "access_token": { "$in": texts(tokens) } };
        let find = self.tokens.find(filter);
        let find = find.projection(doc! { "access_token": 1, "_id": 0 });
        let find = find.batch_size(one_batch(tokens.len()));
        let present = read_all(find, token::read_access_token).await?;
        Ok(present.into_iter().collect())
    }

    async fn find_by_refresh_token(
        &self,
        tokens: &[TokenKey],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        // Without the type the server does not use the index of refresh tokens, which is partial.
        let any = |tokens: &[TokenKey]| doc! { "$in": texts(tokens), "$type": "string" };
        let filter = doc! { "refresh_token": any(tokens) };
        let records = self.find_records(filter, tokens.len()).await?;
        let present = records.into_iter();
        let present = present.filter_map(|record| Some((record.refresh_token.clone()?, record)));
        let mut found: HashMap<TokenKey, TokenRecord> = present.collect();
        let spent: Vec<TokenKey> = tokens
            .iter()
            .filter(|token| !found.contains_key(token))
            .cloned()
            .collect();
        if !spent.is_empty() {
            let filter = doc! { "rotated_from.refresh_token": any(&spent) };
            for record in self.find_records(filter, spent.len()).await? {
                if let Some(rotated_from) = &record.rotated_from {
                    found.insert(rotated_from.refresh_token.clone(), record);
                }
            }
        }
        Ok(in_order(tokens, &found))
    }

    async fn find_by_session(
        &self,
        sessions: &[(ClientId, UserId)],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let mut users_of_clients: HashMap<&ClientId, Vec<ObjectId>> = HashMap::new();
        for (client_id, user_id) in sessions {
            let users = users_of_clients.entry(client_id).or_default();
            users.push(object_id(*user_id));
        }
        let of_client = |(client_id, users): (&ClientId, Vec<ObjectId>)| {
            doc! {
                "client_id": client_id.as_str(),
                "user_id": { "$in": users },
                "session": Bson::Null,
            }
        };
        let any: Vec<Document> = users_of_clients.into_iter().map(of_client).collect();
        let records = self
            .find_records(doc! { "$or": any }, sessions.len())
            .await?;
        let session = |r: TokenRecord| Some(((r.client_id.clone(), r.user_id?), r));
        let found = records.into_iter().filter_map(session).collect();
        Ok(in_order(sessions, &found))
    }

    async fn find_by_family(&self, families: &[FamilyId]) -> Result<Vec<TokenRecord>, StoreError> {
        if families.is_empty() {
            return Ok(Vec::new());
        }
        let families: Vec<ObjectId> = families.iter().copied().map(object_id).collect();
        // A pair of Flask-Sentinel is a family of its own, named by its identifier.
        let filter = doc! { "$or": [
            { "family": { "$in": &families } },
            { "_id": { "$in": &families }, "family": { "$exists": false } },
        ] };
        self.find_records(filter, MOST_WRITES).await
    }

    async fn list_sessions(
        &self,
        of: &SessionsOf,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.sessions_after(of, after, limit).await
    }

    async fn write(&self, writes: &[TokenWrite]) -> Result<Vec<bool>, StoreError> {
        let mut is_done = Vec::with_capacity(writes.len());
        for group in writes.chunks(MOST_WRITES) {
            is_done.extend(self.write_group(group).await?);
        }
        Ok(is_done)
    }

    async fn remember_and_settle(
        &self,
        ends: &[EndedToken],
        rounds: &SettledRounds,
    ) -> Result<(), StoreError> {
        self.remember(ends, rounds).await
    }

    async fn find_ends(
        &self,
        refresh_tokens: &[TokenKey],
    ) -> Result<Vec<Option<EndedToken>>, StoreError> {
        if refresh_tokens.is_empty() {
            return Ok(Vec::new());
        }
        self.ends_of(refresh_tokens).await
    }

    async fn settle_ends(&self, rounds: &SettledRounds) -> Result<(), StoreError> {
        self.settle(rounds).await
    }

    async fn find_unpublished_ends(
        &self,
        families: &[FamilyId],
    ) -> Result<Vec<EndedToken>, StoreError> {
        self.unpublished_of(families).await
    }

    async fn confirm(&self) -> Result<(), StoreError> {
        self.confirm_primary().await
    }

    async fn list_ends(
        &self,
        which: Ends,
        now: OffsetDateTime,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        self.ends_after(which, now, after, limit).await
    }

    async fn list_live(
        &self,
        now: OffsetDateTime,
        after: Option<&TokenRecord>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.live_after(now, after, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.look_at_storage().await
    }
}

impl MongoStore {
    async fn find_records(
        &self,
        filter: Document,
        expected: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let find = self.tokens.find(filter).batch_size(one_batch(expected));
        read_all(find, token::read).await
    }

    /// The names of those of these users that are there and not disabled.
    async fn enabled_users(
        &self,
        ids: &HashSet<UserId>,
    ) -> Result<HashMap<RecordId, String>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let object_ids: Vec<ObjectId> = ids.iter().copied().map(object_id).collect();
        let filter = doc! { "_id": { "$in": object_ids }, "disabled": { "$ne": true } };
        let find = self.users.find(filter).projection(doc! { "username": 1 });
        let names = read_all(find.batch_size(one_batch(ids.len())), user::read_name);
        Ok(names.await?.into_iter().collect())
    }

    /// Those of these clients that are there and not disabled.
    async fn enabled_clients(
        &self,
        ids: &HashSet<&ClientId>,
    ) -> Result<HashSet<ClientId>, StoreError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let texts: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let filter = doc! { "client_id": { "$in": texts }, "disabled": { "$ne": true } };
        let projection = doc! { "client_id": 1, "_id": 0 };
        let find = self.clients.find(filter).projection(projection);
        let id = |document: &RawDocument| Fields::of(document).text("client_id").map(ClientId::new);
        let enabled = read_all(find.batch_size(one_batch(ids.len())), id);
        Ok(enabled.await?.into_iter().collect())
    }
}

fn grant(
    record: TokenRecord,
    users: &HashMap<RecordId, String>,
    clients: &HashSet<ClientId>,
) -> Option<Grant> {
    let user = match record.user_id {
        None => None,
        Some(id) => Some(GrantUser {
            id,
            username: users.get(&id)?.clone(),
        }),
    };
    clients.contains(&record.client_id).then_some(Grant {
        user,
        client_id: record.client_id,
        scope: record.scope,
        issued_at: record.issued_at,
        expires_at: record.expires_at,
    })
}

//! Token pairs and the memory of their ends, in the file.

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use redb::{Durability, ReadableTable};
use time::OffsetDateTime;

use super::EmbeddedStore;
use super::ends::{EndTables, Settled, page_of};
use super::reader::{Reader, grant_of};
use super::records::ended::read_end;
use super::records::{corrupt, millis, read_token};
use super::sessions;
use super::tables::{
    ACCESS_TOKENS, CLIENTS, ENDED, ENDED_EXPIRIES, ENDED_REFRESH_TOKENS, FAMILIES, Millis,
    REFRESH_TOKENS, ROTATED_TOKENS, SESSIONS, TOKENS, USERS,
};
use super::token_tables::TokenTables;
use crate::domain::client::ClientId;
use crate::domain::standing::SessionsOf;
use crate::domain::token::{EndedToken, FamilyId, Grant, RecordId, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::user::UserId;
use crate::stores::ends::{Ends, EndsMark, EndsPage, SettledRounds};
use crate::stores::error::StoreError;
use crate::stores::{TokenStore, TokenWrite};

#[async_trait]
impl TokenStore for EmbeddedStore {
    async fn find_grants(&self, tokens: &[TokenKey]) -> Result<Vec<Option<Grant>>, StoreError> {
        self.read(|transaction| {
            let reader = Reader::open(transaction)?;
            let access_tokens = transaction.open_table(ACCESS_TOKENS)?;
            let users = transaction.open_table(USERS)?;
            let clients = transaction.open_table(CLIENTS)?;
            tokens
                .iter()
                .map(|token| match reader.by_token(&access_tokens, token)? {
                    Some(record) => grant_of(record, &users, &clients),
                    None => Ok(None),
                })
                .collect()
        })
        .await
    }

    async fn find_by_access_token(
        &self,
        tokens: &[TokenKey],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError> {
        self.read(|transaction| {
            let reader = Reader::open(transaction)?;
            let index = transaction.open_table(ACCESS_TOKENS)?;
            let find = |token| reader.by_token(&index, token);
            tokens.iter().map(find).collect()
        })
        .await
    }

    async fn find_by_refresh_token(
        &self,
        tokens: &[TokenKey],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError> {
        self.read(|transaction| {
            let reader = Reader::open(transaction)?;
            let present = transaction.open_table(REFRESH_TOKENS)?;
            let spent = transaction.open_table(ROTATED_TOKENS)?;
            tokens
                .iter()
                .map(|token| match reader.by_token(&present, token)? {
                    Some(record) => Ok(Some(record)),
                    None => reader.by_token(&spent, token),
                })
                .collect()
        })
        .await
    }

    async fn find_by_session(
        &self,
        sessions: &[(ClientId, UserId)],
    ) -> Result<Vec<Option<TokenRecord>>, StoreError> {
        self.read(|transaction| {
            let reader = Reader::open(transaction)?;
            let index = transaction.open_table(SESSIONS)?;
            sessions
                .iter()
                .map(|(client, user)| {
                    let id = index.get((client.as_str(), &user.0))?;
                    id.map(|id| reader.indexed(RecordId(*id.value())))
                        .transpose()
                })
                .collect()
        })
        .await
    }

    async fn find_by_family(&self, families: &[FamilyId]) -> Result<Vec<TokenRecord>, StoreError> {
        self.read(|transaction| {
            let reader = Reader::open(transaction)?;
            let index = transaction.open_multimap_table(FAMILIES)?;
            let mut records = Vec::new();
            for family in families {
                for id in index.get(&family.0)? {
                    records.push(reader.indexed(RecordId(*id?.value()))?);
                }
            }
            Ok(records)
        })
        .await
    }

    // Seldom asked, by people: no index is kept for it.
    async fn list_sessions(
        &self,
        of: &SessionsOf,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let of = of.clone();
        self.scan(move |transaction| sessions::page(transaction, &of, after, limit))
            .await
    }

    async fn write(&self, writes: &[TokenWrite]) -> Result<Vec<bool>, StoreError> {
        let writes: Arc<[TokenWrite]> = writes.into();
        let now = self.now();
        self.transact(move |transaction| {
            let mut tables = TokenTables::open(transaction)?;
            let expired = tables.expired(now)?;
            let done = writes
                .iter()
                .map(|write| tables.apply(write))
                .collect::<Result<_, _>>()?;
            tables.purge(&expired)?;
            EndTables::open(transaction)?.forget(now)?;
            Ok(done)
        })
        .await
    }

    async fn remember_and_settle(
        &self,
        ends: &[EndedToken],
        rounds: &SettledRounds,
    ) -> Result<(), StoreError> {
        let ends: Arc<[EndedToken]> = ends.into();
        let settled = Settled::of(rounds);
        let now = self.now();
        self.transact(move |transaction| {
            let mut tables = EndTables::open(transaction)?;
            tables.forget(now)?;
            ends.iter().try_for_each(|end| tables.remember(end))?;
            tables.settle(&settled)
        })
        .await
    }

    async fn find_ends(
        &self,
        refresh_tokens: &[TokenKey],
    ) -> Result<Vec<Option<EndedToken>>, StoreError> {
        self.read(|transaction| {
            let ends = transaction.open_table(ENDED)?;
            let index = transaction.open_multimap_table(ENDED_REFRESH_TOKENS)?;
            refresh_tokens
                .iter()
                .map(|token| {
                    let Some(access_token) = index.get(token.expose())?.next() else {
                        return Ok(None);
                    };
                    let access_token = access_token?;
                    let row = ends.get(access_token.value())?;
                    let lost = || corrupt("ended", "a refresh token leads to no record");
                    let end = read_end(access_token.value(), row.ok_or_else(lost)?.value())?;
                    Ok(Some(end))
                })
                .collect()
        })
        .await
    }

    async fn settle_ends(&self, rounds: &SettledRounds) -> Result<(), StoreError> {
        let settled = Settled::of(rounds);
        // That the fast copy was told may come to be forgotten: it is told again.
        let durability = if settled.answered.is_empty() {
            Durability::None
        } else {
            Durability::Immediate
        };
        self.transact_with(durability, move |transaction| {
            EndTables::open(transaction)?.settle(&settled)
        })
        .await
    }

    // Asked for a Redis, as `list_live`.
    async fn find_unpublished_ends(
        &self,
        families: &[FamilyId],
    ) -> Result<Vec<EndedToken>, StoreError> {
        let families: Arc<[FamilyId]> = families.into();
        self.scan(move |transaction| {
            let mut found = Vec::new();
            for entry in transaction.open_table(ENDED)?.iter()? {
                let (access_token, row) = entry?;
                let end = read_end(access_token.value(), row.value())?;
                if families.contains(&end.family) && !end.is_published {
                    found.push(end);
                }
            }
            Ok(found)
        })
        .await
    }

    // There is one file and one process.
    async fn confirm(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list_ends(
        &self,
        which: Ends,
        now: OffsetDateTime,
        after: Option<&EndsMark>,
        limit: usize,
    ) -> Result<EndsPage, StoreError> {
        let (start, token) = after.map_or((millis(now) + 1, String::new()), |mark| {
            (millis(mark.expires_at), mark.name.clone())
        });
        self.scan(move |transaction| {
            let ends = transaction.open_table(ENDED)?;
            let index = transaction.open_table(ENDED_EXPIRIES)?;
            let lost = || corrupt("ended", "an expiry leads to no record");
            let listed = (start, token.as_str());
            let mut found = Vec::new();
            for entry in index.range::<(Millis, &str)>(listed..)? {
                let (key, _) = entry?;
                if found.len() == limit {
                    break;
                }
                if key.value() != listed {
                    let access_token = key.value().1;
                    let row = ends.get(access_token)?.ok_or_else(lost)?;
                    let end = read_end(access_token, row.value())?;
                    found.extend((which == Ends::All || !end.is_published).then_some(end));
                }
            }
            Ok(page_of(found, limit))
        })
        .await
    }

    // Asked for a Redis, which is never beside this store: no index is kept for it.
    async fn list_live(
        &self,
        now: OffsetDateTime,
        after: Option<&TokenRecord>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let order = |record: &TokenRecord| (millis(record.expires_at), record.id.0);
        let last = after.map(order);
        self.scan(move |transaction| {
            let mut live = Vec::new();
            for entry in transaction.open_table(TOKENS)?.iter()? {
                let (id, row) = entry?;
                let record = read_token(RecordId(*id.value()), row.value())?;
                if record.expires_at > now && last.is_none_or(|last| order(&record) < last) {
                    live.push(record);
                }
            }
            live.sort_unstable_by_key(|record| Reverse(order(record)));
            live.truncate(limit);
            Ok(live)
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|transaction| transaction.open_table(TOKENS).map(drop).map_err(Into::into))
            .await
    }
}

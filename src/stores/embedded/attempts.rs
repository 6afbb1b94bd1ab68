//! Counts of attempts in the file.

use async_trait::async_trait;
use redb::{Durability, ReadableTable, Table, WriteTransaction};
use time::OffsetDateTime;

use super::EmbeddedStore;
use super::records::{instant, millis};
use super::tables::{ATTEMPT_EXPIRIES, ATTEMPTS, Millis};
use crate::domain::attempt::{
    AttemptCount, AttemptKey, AttemptOutcome, AttemptRequest, Reservation, Reserved,
};
use crate::stores::AttemptStore;
use crate::stores::error::{SettleError, StoreError};

/// Counts that one batch removes at most, so that it stays short: more than it can add.
const REMOVE_LIMIT: usize = 100;

#[async_trait]
impl AttemptStore for EmbeddedStore {
    async fn reserve_attempts(
        &self,
        requests: &[AttemptRequest],
    ) -> Result<Vec<Reserved>, StoreError> {
        let (requests, now) = (requests.to_vec(), self.now());
        self.transact_with(Durability::None, move |transaction| {
            let mut counts = Counts::open(transaction)?;
            counts.remove_ended(now)?;
            let reserve = |request: &AttemptRequest| counts.reserve(request, now);
            requests.iter().map(reserve).collect()
        })
        .await
    }

    // What is synced to disk takes with it what was not before: who makes the server crash does not
    // get his attempts back.
    async fn keep_attempts(&self) -> Result<(), StoreError> {
        self.transact(|transaction| Counts::open(transaction).map(drop))
            .await
    }

    async fn settle_attempts(
        &self,
        ended: &[(Reservation, AttemptOutcome, u32)],
    ) -> Result<(), SettleError> {
        if ended.is_empty() {
            return Ok(());
        }
        let all = (0..ended.len()).collect();
        let ended = ended.to_vec();
        let settled = self.transact_with(Durability::None, move |transaction| {
            let mut counts = Counts::open(transaction)?;
            let mut settled = ended.iter();
            settled.try_for_each(|(own, outcome, count)| counts.settle(own, *outcome, *count))
        });
        // What fails before it is on the disk is gone as a whole, also where its commit fails.
        settled.await.map_err(|source: StoreError| SettleError {
            undone: all,
            source,
        })
    }
}

/// The tables, open for writing.
struct Counts<'t> {
    counts: Table<'t, &'static [u8; 32], (u32, u32, Millis)>,
    by_expiry: Table<'t, (Millis, &'static [u8; 32]), ()>,
}

impl<'t> Counts<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            counts: transaction.open_table(ATTEMPTS)?,
            by_expiry: transaction.open_table(ATTEMPT_EXPIRIES)?,
        })
    }

    fn reserve(
        &mut self,
        request: &AttemptRequest,
        now: OffsetDateTime,
    ) -> Result<Reserved, StoreError> {
        let present = self.find(&request.key)?;
        let (count, reserved) = AttemptCount::reserve(present, request, now);
        if let Some(present) = present.filter(|present| present.ends_at != count.ends_at) {
            let ended = (millis(present.ends_at), &request.key.0);
            self.by_expiry.remove(ended)?;
        }
        self.by_expiry
            .insert((millis(count.ends_at), &request.key.0), ())?;
        self.put(&request.key, count)?;
        Ok(reserved)
    }

    fn settle(
        &mut self,
        reservation: &Reservation,
        outcome: AttemptOutcome,
        ended: u32,
    ) -> Result<(), StoreError> {
        match self.find(&reservation.key)? {
            Some(count) if count.ends_at == reservation.ends_at => {
                self.put(&reservation.key, count.settle(outcome, ended))
            }
            _ => Ok(()),
        }
    }

    // At once: whoever is asked about while the clock stands ahead is counted anew anyway, and a
    // flood from many networks must not fill the disk for longer than a window.
    fn remove_ended(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
        for _ in 0..REMOVE_LIMIT {
            let due = match self.by_expiry.first()? {
                Some((key, _)) if key.value().0 <= millis(now) => {
                    let (at, own) = key.value();
                    (at, *own)
                }
                _ => break,
            };
            self.by_expiry.remove((due.0, &due.1))?;
            self.counts.remove(&due.1)?;
        }
        Ok(())
    }

    fn find(&self, key: &AttemptKey) -> Result<Option<AttemptCount>, StoreError> {
        let Some(row) = self.counts.get(&key.0)? else {
            return Ok(None);
        };
        let (taken, failures, ends_at) = row.value();
        let ends_at = instant("attempts", ends_at)?;
        Ok(Some(AttemptCount {
            taken,
            failures,
            ends_at,
        }))
    }

    fn put(&mut self, key: &AttemptKey, count: AttemptCount) -> Result<(), StoreError> {
        let row = (count.taken, count.failures, millis(count.ends_at));
        self.counts.insert(&key.0, row)?;
        Ok(())
    }
}

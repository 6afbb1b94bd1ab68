//! The collection `attempts`: the key is the `_id`.

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, CollectionOptions, ReturnDocument, WriteConcern};
use time::OffsetDateTime;

use crate::domain::attempt::{AttemptCount, AttemptOutcome, AttemptRequest, Reservation, Reserved};
use crate::stores::AttemptStore;
use crate::stores::error::{SettleError, StoreError};

use super::documents::fields::Fields;
use super::documents::{binary, date};
use super::{Documents, MongoStore, unavailable, within_deadline};

/// The collection. The primary alone confirms a count, without its journal: a login does not wait
/// for more, and an election loses the counts of a moment at most.
pub(super) fn collection(database: &Database) -> Documents {
    let primary = WriteConcern::builder()
        .w(Acknowledgment::Nodes(1))
        .journal(false)
        .build();
    let options = CollectionOptions::builder().write_concern(primary).build();
    database.collection_with_options("attempts", options)
}

#[async_trait]
impl AttemptStore for MongoStore {
    async fn reserve_attempts(
        &self,
        requests: &[AttemptRequest],
    ) -> Result<Vec<Reserved>, StoreError> {
        let now = self.clock.now();
        try_join_all(requests.iter().map(|request| self.reserve(request, now))).await
    }

    async fn settle_attempts(
        &self,
        ended: &[(Reservation, AttemptOutcome, u32)],
    ) -> Result<(), SettleError> {
        let settled = ended
            .iter()
            .map(|(own, outcome, count)| self.settle_count(own, *outcome, *count));
        // Each is waited for: one that is given up midway may be carried out all the same.
        let settled = join_all(settled).await.into_iter().enumerate();
        let (mut undone, mut first) = (Vec::new(), None);
        for (place, failure) in settled.filter_map(|(place, own)| Some((place, own.err()?))) {
            undone.extend(failure.is_undone.then_some(place));
            first.get_or_insert(failure.source);
        }
        match first {
            Some(source) => Err(SettleError { undone, source }),
            None => Ok(()),
        }
    }
}

/// Why an end was not noted, or nobody knows whether it was.
struct Failure {
    is_undone: bool,
    source: StoreError,
}

impl MongoStore {
    // One operation, whatever is there. What was there before it tells what it did.
    async fn reserve(
        &self,
        request: &AttemptRequest,
        now: OffsetDateTime,
    ) -> Result<Reserved, StoreError> {
        let by_key = doc! { "_id": binary(&request.key.0) };
        let reserve = self
            .attempts
            .find_one_and_update(by_key, vec![reservation(request, now)])
            .upsert(true)
            .return_document(ReturnDocument::Before);
        let before = within_deadline(reserve).await?;
        let present = before.and_then(|document| read(&Fields::of(&document)));
        Ok(AttemptCount::reserve(present, request, now).1)
    }

    async fn settle_count(
        &self,
        Reservation { key, ends_at }: &Reservation,
        outcome: AttemptOutcome,
        ended: u32,
    ) -> Result<(), Failure> {
        let filter = doc! { "_id": binary(&key.0), "ends_at": date(*ends_at) };
        let update = vec![settlement(outcome, ended)];
        let update = self.attempts.update_one(filter, update);
        match within_deadline(async { Ok(update.await) }).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure {
                is_undone: is_undone(&error),
                source: unavailable(error),
            }),
            Err(timeout) => Err(Failure {
                is_undone: false,
                source: timeout,
            }),
        }
    }
}

/// Whether a failed update certainly did nothing: it found no server, or was refused by one. A pool that
/// was cleared tells neither: the driver says so also of what had been sent.
fn is_undone(error: &Error) -> bool {
    matches!(
        *error.kind,
        ErrorKind::ServerSelection { .. }
            | ErrorKind::Command(_)
            | ErrorKind::Write(WriteFailure::WriteError(_))
    )
}

fn read(document: &Fields<'_>) -> Option<AttemptCount> {
    Some(AttemptCount {
        taken: document.count("taken")?.try_into().ok()?,
        failures: document.count("failures")?.try_into().ok()?,
        ends_at: document.instant("ends_at")?,
    })
}

/// As [`AttemptCount::reserve`].
fn reservation(request: &AttemptRequest, now: OffsetDateTime) -> Document {
    let AttemptRequest { wanted, limit, .. } = request;
    let most = i64::from(limit.failures);
    let wanted = i64::from(*wanted);
    let is_current = doc! { "$and": [
        { "$gt": ["$ends_at", date(now)] },
        { "$lte": ["$ends_at", date(limit.latest_end(now))] },
    ] };
    let more = doc! { "$min": [most, { "$add": ["$taken", wanted] }] };
    let when_current =
        |then: Bson, otherwise: Bson| doc! { "$cond": [&is_current, then, otherwise] };
    let taken = doc! { "$max": ["$taken", more] };
    doc! { "$set": {
        "taken": when_current(taken.into(), wanted.min(most).into()),
        "failures": when_current("$failures".into(), 0_i64.into()),
        "ends_at": when_current("$ends_at".into(), date(limit.window_end(now)).into()),
    } }
}

/// As [`AttemptCount::settle`].
fn settlement(outcome: AttemptOutcome, ended: u32) -> Document {
    let ended = i64::from(ended);
    let less = |number: Document| doc! { "$max": [0_i64, { "$subtract": ["$taken", number] }] };
    doc! { "$set": match outcome {
        AttemptOutcome::Failed => doc! { "failures": { "$add": ["$failures", ended] } },
        AttemptOutcome::GivenBack => doc! { "taken": less(doc! { "$literal": ended }) },
        AttemptOutcome::Redeemed => doc! {
            "taken": less(doc! { "$add": ["$failures", ended] }),
            "failures": 0_i64,
        },
    } }
}

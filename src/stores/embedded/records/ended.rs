//! The rows of the memory of ends.

use serde::{Deserialize, Serialize};

use super::{Millis, decode, instant, millis, token};
use crate::domain::token::{EndedToken, RecordId, RoundId};
use crate::stores::error::StoreError;

/// Each end is found by its access token, so that of its round nothing is kept.
const UNTOLD: RoundId = RecordId([0; 12]);
/// The name of the table in errors.
const PLACE: &str = "ended";

/// The memory of an end; the access token is the key.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct EndedRow {
    /// The refresh token that ended with it.
    pub(in super::super) refresh_token: Option<String>,
    family: [u8; 12],
    ended_at: Millis,
    /// Until when the access token would have been accepted.
    pub(in super::super) access_expires_at: Millis,
    pub(in super::super) forget_at: Millis,
    /// Told this way round because rows of earlier versions do not say.
    #[serde(default)]
    pub(in super::super) is_unanswered: bool,
    #[serde(default)]
    pub(in super::super) is_unpublished: bool,
}

impl From<&EndedToken> for EndedRow {
    fn from(end: &EndedToken) -> Self {
        Self {
            refresh_token: end.refresh_token.as_ref().map(|t| t.expose().to_owned()),
            family: end.family.0,
            ended_at: millis(end.ended_at),
            access_expires_at: millis(end.access_expires_at),
            forget_at: millis(end.forget_at),
            is_unanswered: !end.is_answered,
            is_unpublished: !end.is_published,
        }
    }
}

/// Reads the row of an end.
pub(in super::super) fn read_ended(bytes: &[u8]) -> Result<EndedRow, StoreError> {
    decode(PLACE, bytes)
}

/// Reads the memory of the end of an access token and what went with it.
pub(in super::super) fn read_end(
    access_token: &str,
    bytes: &[u8],
) -> Result<EndedToken, StoreError> {
    let row = read_ended(bytes)?;
    let refresh_token = row.refresh_token.map(|text| token(PLACE, &text));
    Ok(EndedToken {
        access_token: token(PLACE, access_token)?,
        refresh_token: refresh_token.transpose()?,
        family: RecordId(row.family),
        ended_at: instant(PLACE, row.ended_at)?,
        access_expires_at: instant(PLACE, row.access_expires_at)?,
        forget_at: instant(PLACE, row.forget_at)?,
        round: UNTOLD,
        is_answered: !row.is_unanswered,
        is_published: !row.is_unpublished,
    })
}

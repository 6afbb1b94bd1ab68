//! Tokens: the secret values, the records of what they grant, and the memory of their ends.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::client::ClientId;
use super::hex;
use super::scope::Scope;
use super::token_key::TokenKey;
use super::token_pair::SealedPair;
use super::user::UserId;

/// How many letters and digits a token has: 30, that is 178 bits (RFC 6749 §10.10 asks for 160).
pub const TOKEN_LENGTH: usize = 30;

/// The secret text of an access or refresh token: 30 ASCII letters and digits. Never printed. Clones
/// share it, and the last one wipes it from memory.
#[derive(Clone)]
pub struct TokenValue(Arc<Zeroizing<[u8; TOKEN_LENGTH]>>);

impl TokenValue {
    /// Reads a token somebody sent or a store kept; `None` when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_LENGTH] = text.as_bytes().try_into().ok()?;
        let is_token = bytes.iter().all(u8::is_ascii_alphanumeric);
        is_token.then(|| Self(Arc::new(Zeroizing::new(bytes))))
    }

    /// The token itself: for stores and the answer to the client that it was issued to.
    pub fn expose(&self) -> &str {
        // ASCII, so it is never the empty default.
        str::from_utf8(self.bytes()).unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for TokenValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl PartialEq for TokenValue {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().ct_eq(other.bytes()).into()
    }
}

impl Eq for TokenValue {}

impl Hash for TokenValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

/// The identifier of a stored record: a BSON `ObjectId`, 24 hex digits where it is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub [u8; 12]);

impl RecordId {
    /// Reads 24 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex::read(text).map(Self)
    }

    /// When it was made: its first four bytes are seconds since 1970.
    pub fn created_at(self) -> OffsetDateTime {
        let [a, b, c, d, ..] = self.0;
        let seconds = i64::from(u32::from_be_bytes([a, b, c, d]));
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 24];
        hex::write(&self.0, &mut text);
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// One login and all the tokens refreshed from it. Reuse of a spent refresh token ends them all
/// (RFC 9700 §4.14.2).
pub type FamilyId = RecordId;

/// A round of writes, whose ends are remembered together.
pub type RoundId = RecordId;

/// What a live access token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The resource owner; `None` for a token that a client got for itself.
    pub user: Option<GrantUser>,
    /// The client it was issued to.
    pub client_id: ClientId,
    /// What it allows.
    pub scope: Scope,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// The instant from which it is no longer accepted.
    pub expires_at: OffsetDateTime,
}

/// The resource owner of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantUser {
    /// Identifier.
    pub id: UserId,
    /// Login name.
    pub username: String,
}

/// A live token pair as the truth keeps it: one record for a user and client, unless the client has
/// one for each login.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// Identifier of the record.
    pub id: RecordId,
    /// The access token.
    pub access_token: TokenKey,
    /// The refresh token that goes with it.
    pub refresh_token: Option<TokenKey>,
    /// The client both were issued to.
    pub client_id: ClientId,
    /// The resource owner; `None` for a token that a client got for itself.
    pub user_id: Option<UserId>,
    /// Tells apart the records of a client that may have several of one user, or of itself; `None`
    /// for the only one.
    pub session: Option<RecordId>,
    /// What the access token allows.
    pub scope: Scope,
    /// What was first granted: a refreshed access token may be given less, and later this again
    /// (RFC 6749 §6).
    pub refresh_scope: Scope,
    /// When the access token was issued.
    pub issued_at: OffsetDateTime,
    /// When the access token ends.
    pub expires_at: OffsetDateTime,
    /// When the refresh token ends; `None` is never.
    pub refresh_expires_at: Option<OffsetDateTime>,
    /// When the family ends, however often it is refreshed; `None` is never.
    pub family_expires_at: Option<OffsetDateTime>,
    /// The login it descends from.
    pub family: FamilyId,
    /// The refresh token this pair was chosen by, while its answer may have been lost.
    pub rotated_from: Option<RotatedFrom>,
    /// The access token in whose place this pair came, by a login or a rotation. The fast copy may
    /// still have it if the server that wrote this pair died.
    pub replaced: Option<TokenKey>,
}

/// The refresh token that was spent for the present pair.
#[derive(Clone, Debug)]
pub struct RotatedFrom {
    /// The spent refresh token.
    pub refresh_token: TokenKey,
    /// When it was spent.
    pub at: OffsetDateTime,
    /// The pair itself, for the client that spent it, where the record has only hashes.
    pub sealed: Option<SealedPair>,
}

impl TokenRecord {
    /// From when on the end of this pair may be forgotten, if it ends now.
    pub fn forget_at(&self, now: OffsetDateTime) -> OffsetDateTime {
        let longest = self
            .refresh_expires_at
            .unwrap_or(now + FORGET_ENDLESS_AFTER);
        // What ends with the calendar has no day after it.
        longest.max(self.expires_at).saturating_add(CLEANUP_SLACK)
    }

    /// The memory of this pair's end, kept for as long as either token could be presented.
    pub fn end(&self, now: OffsetDateTime, round: RoundId) -> EndedToken {
        EndedToken {
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
            family: self.family,
            ended_at: now,
            access_expires_at: self.expires_at,
            forget_at: self.forget_at(now),
            round,
            is_answered: false,
            is_published: false,
        }
    }
}

/// How long after its end a record or a memory is kept: a store removes by a clock of its own.
pub const CLEANUP_SLACK: Duration = Duration::days(1);

/// How long the end of a refresh token without an expiry of its own is remembered.
const FORGET_ENDLESS_AFTER: Duration = Duration::days(365);

/// The memory of a pair's end, written before the end itself and kept until nobody could present
/// either token any more.
#[derive(Clone, Debug)]
pub struct EndedToken {
    /// The access token that no longer counts.
    pub access_token: TokenKey,
    /// The refresh token that was spent or revoked with it.
    pub refresh_token: Option<TokenKey>,
    /// The family to end when the refresh token is presented again.
    pub family: FamilyId,
    /// When it ended.
    pub ended_at: OffsetDateTime,
    /// Until when the access token would have been accepted.
    pub access_expires_at: OffsetDateTime,
    /// From when on the memory may go. A store that keeps a round as one keeps all of it for as long
    /// as any of it.
    pub forget_at: OffsetDateTime,
    /// The round that it was remembered with. A store that keeps each end by itself does not tell.
    pub round: RoundId,
    /// Whether who asked for it was answered. If not, the client may not have what came in its
    /// place.
    pub is_answered: bool,
    /// Whether the fast copy was told. If not, it may still have the access token.
    pub is_published: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_thirty_letters_and_digits_are_a_token() {
        assert!(TokenValue::parse("sx2Rz0vVFVRQBCFVCTwXINPjSswq1W").is_some());
        for bad in [
            "",
            "short",
            "sx2Rz0vVFVRQBCFVCTwXINPjSswq1",
            "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W0",
        ] {
            assert!(TokenValue::parse(bad).is_none(), "{bad:?}");
        }
        assert!(TokenValue::parse("sx2Rz0vVFVRQBCFVCTwXINPjSswq1-").is_none());
    }

    #[test]
    fn a_token_never_prints_itself() {
        let token = TokenValue::parse("sx2Rz0vVFVRQBCFVCTwXINPjSswq1W").unwrap();
        assert_eq!(format!("{token:?}"), "***");
    }

    #[test]
    fn a_record_identifier_survives_its_text() {
        let id = RecordId::parse("6b049213eb1acd78e9075d3b").unwrap();
        assert_eq!(id.to_string(), "6b049213eb1acd78e9075d3b");
        assert_eq!(id.created_at().year(), 2026);
        assert!(RecordId::parse("+b049213eb1acd78e9075d3b").is_none());
        assert!(RecordId::parse("6b049213eb1acd78e9075d3").is_none());
    }
}

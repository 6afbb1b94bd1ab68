//! How tokens are kept: as they are, or as their SHA-256. A token has 178 bits of chance, so a hash
//! without salt and in one step is as hard to guess as the token.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::sealed_pair;
use crate::domain::grant::refresh_token::UNANSWERED_GRACE;
use crate::domain::token::{EndedToken, RotatedFrom, RoundId, TokenRecord, TokenValue};
use crate::domain::token_key::{TokenKey, TokenStorage};
use crate::domain::token_pair::TokenPair;

/// What a token is kept and found by.
pub fn key_of(token: &TokenValue, storage: TokenStorage) -> TokenKey {
    match storage {
        TokenStorage::Plain => TokenKey::plain(token.clone()),
        TokenStorage::Hashed => TokenKey::hashed(Sha256::digest(token.expose()).into()),
    }
}

/// What was kept as it is, as it is kept hashed. What is hashed stays so.
pub fn hashed(key: &TokenKey) -> TokenKey {
    let hash = |token| key_of(token, TokenStorage::Hashed);
    key.token().map_or_else(|| key.clone(), hash)
}

/// A pair that was kept as it is, as it is kept hashed. Whoever spent the token before it may be told of
/// it once more all the same, for as long as that is done.
pub fn hashed_record(record: &TokenRecord, now: OffsetDateTime) -> TokenRecord {
    let rotated_from = record.rotated_from.as_ref().map(|spent| RotatedFrom {
        refresh_token: hashed(&spent.refresh_token),
        at: spent.at,
        sealed: spent.sealed.clone().or_else(|| {
            let pair = plain_pair(record).filter(|_| now < spent.at + UNANSWERED_GRACE)?;
            sealed_pair::seal(&pair, spent.refresh_token.token()?)
        }),
    });
    TokenRecord {
        access_token: hashed(&record.access_token),
        refresh_token: record.refresh_token.as_ref().map(hashed),
        replaced: record.replaced.as_ref().map(hashed),
        rotated_from,
        ..record.clone()
    }
}

/// An end of what was kept as it is, as it is kept hashed, in a round of such.
pub fn hashed_end(end: &EndedToken, round: RoundId) -> EndedToken {
    EndedToken {
        round,
        access_token: hashed(&end.access_token),
        refresh_token: end.refresh_token.as_ref().map(hashed),
        ..end.clone()
    }
}

/// The pair of a record, where that has it as it is.
pub fn plain_pair(record: &TokenRecord) -> Option<TokenPair> {
    let refresh_token = record.refresh_token.as_ref().and_then(TokenKey::token);
    Some(TokenPair {
        access_token: record.access_token.token()?.clone(),
        refresh_token: refresh_token.cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_key_is_the_sha256_of_the_token_in_hex() {
        let token = TokenValue::parse("sx2Rz0vVFVRQBCFVCTwXINPjSswq1W").unwrap();
        let key = key_of(&token, TokenStorage::Hashed);
        // printf %s sx2Rz0vVFVRQBCFVCTwXINPjSswq1W | sha256sum
        let expected = "3311f1c444c737d112032cb3bb682fea82f2a643522c236f122bf11a3cea739d";
        assert_eq!(key.expose(), expected);
        assert_eq!(hashed(&key_of(&token, TokenStorage::Plain)), key);
        assert_eq!(hashed(&key), key);
    }
}

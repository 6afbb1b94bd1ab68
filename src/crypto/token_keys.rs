//! How tokens are kept: as they are, or as their SHA-256. A token has 178 bits of chance, so a hash
//! without salt and in one step is as hard to guess as the token.

use sha2::{Digest, Sha256};

use crate::domain::token::TokenValue;
use crate::domain::token_key::{TokenKey, TokenStorage};

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

//! Random values, all from the operating system's generator (RFC 6749 §10.10).
//!
//! Where that generator fails, which a running Linux never does, these functions panic: a token
//! that could be guessed must not exist, and no caller could do better.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::secret::ClientSecret;
use crate::domain::client::ClientId;
use crate::domain::token::{RecordId, TOKEN_LENGTH, TokenValue};
use crate::domain::user::Password;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// How many letters and digits a client identifier has, as in Flask-Sentinel.
const CLIENT_ID_LENGTH: usize = 40;

/// A new access or refresh token: 30 letters and digits, 178 bits.
///
/// # Panics
/// As all functions here, when the operating system's generator fails.
pub fn token_value() -> TokenValue {
    #[expect(
        clippy::expect_used,
        reason = "`alphanumeric` gives the asked number of letters and digits, which is all that \
                  `parse` asks for"
    )]
    TokenValue::parse(&alphanumeric(TOKEN_LENGTH)).expect("30 letters and digits are a token")
}

/// A new client identifier: 40 letters and digits.
pub fn client_id() -> ClientId {
    ClientId::new(alphanumeric(CLIENT_ID_LENGTH).as_str())
}

/// A new client secret: 256 bits in base64url.
pub fn client_secret() -> ClientSecret {
    ClientSecret::new(URL_SAFE_NO_PAD.encode(key().as_slice()))
}

/// A new record identifier: four bytes of seconds and eight of chance.
pub fn record_id(now: OffsetDateTime) -> RecordId {
    let mut bytes = [0; 12];
    fill(&mut bytes);
    let seconds = u32::try_from(now.unix_timestamp()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    RecordId(bytes)
}

/// A new key of 256 bits.
pub fn key() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut_slice());
    bytes
}

/// A new password of `length` letters and digits.
pub fn password(length: usize) -> Password {
    Password::new(alphanumeric(length).to_string())
}

/// Fills `bytes` from the operating system's generator.
#[expect(
    clippy::expect_used,
    reason = "the module's documentation says why a failing generator must be the end"
)]
pub(super) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// Letters and digits, each as likely as the other: of 64 values of six bits two are thrown away.
fn alphanumeric(length: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < length {
        fill(bytes.as_mut_slice());
        let missing = length - text.len();
        let letters = bytes
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 0x3f)));
        text.extend(letters.take(missing).map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_token_comes_twice_and_no_character_comes_more_often() {
        const TOKENS: usize = 100_000;
        let mut seen = HashSet::with_capacity(TOKENS);
        let mut counts = vec![[0_u32; 128]; TOKEN_LENGTH];
        for _ in 0..TOKENS {
            let token = token_value();
            for (position, byte) in token.expose().bytes().enumerate() {
                counts[position][usize::from(byte)] += 1;
            }
            assert!(seen.insert(token));
        }
        // 1,613 are expected, with a standard deviation of 40: six of them are out of the question.
        for (position, counts) in counts.iter().enumerate() {
            for letter in ALPHABET {
                let count = counts[usize::from(*letter)];
                assert!(
                    (1_373..=1_853).contains(&count),
                    "{count} times {} at {position}",
                    char::from(*letter)
                );
            }
        }
    }

    #[test]
    fn values_have_their_shapes() {
        let id = client_id();
        assert_eq!(id.as_str().len(), 40);
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let secret = client_secret();
        assert_eq!(URL_SAFE_NO_PAD.decode(secret.expose()).unwrap().len(), 32);
        assert_eq!(password(200).as_str().len(), 200);
        assert_ne!(key(), key());
    }

    #[test]
    fn a_record_identifier_tells_its_second() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let id = record_id(now);
        assert_eq!(id.created_at(), now);
        assert_ne!(id, record_id(now));
    }
}

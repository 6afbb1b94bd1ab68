//! The form in which a token is kept and found, in every store and copy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hex;
use super::token::TokenValue;

/// How tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStorage {
    /// As they are: the contract of Flask-Sentinel, for programs that read Redis.
    Plain,
    /// As SHA-256: who reads a store cannot use what is in it.
    Hashed,
}

/// The bytes of a SHA-256.
const DIGEST_LENGTH: usize = 32;

/// What a token is kept and found by: the token itself, or its SHA-256. Never printed. The second is
/// 64 hex digits, which no token is: a stolen one cannot be presented.
#[derive(Clone)]
pub struct TokenKey(Form);

#[derive(Clone)]
enum Form {
    Token(TokenValue),
    Digest(Arc<Digest>),
}

struct Digest {
    bytes: [u8; DIGEST_LENGTH],
    text: [u8; DIGEST_LENGTH * 2],
}

impl TokenKey {
    /// The key of a token that is kept as it is.
    pub fn plain(token: TokenValue) -> Self {
        Self(Form::Token(token))
    }

    /// The key of the token that has this SHA-256.
    pub fn hashed(digest: [u8; DIGEST_LENGTH]) -> Self {
        let mut text = [0; DIGEST_LENGTH * 2];
        hex::write(&digest, &mut text);
        Self(Form::Digest(Arc::new(Digest {
            bytes: digest,
            text,
        })))
    }

    /// Reads what a store kept, in either form; `None` when it cannot be a key of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(token) = TokenValue::parse(text) {
            return Some(Self::plain(token));
        }
        // Small letters only: each key has one text.
        hex::read(text)
            .map(Self::hashed)
            .filter(|key| key.expose() == text)
    }

    /// The text that stores keep.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Form::Token(token) => token.expose(),
            // ASCII, so it is never the empty default.
            Form::Digest(digest) => str::from_utf8(&digest.text).unwrap_or_default(),
        }
    }

    /// The token itself, where it is kept as it is.
    pub fn token(&self) -> Option<&TokenValue> {
        match &self.0 {
            Form::Token(token) => Some(token),
            Form::Digest(_) => None,
        }
    }

    /// Either form in 32 bytes, the shorter one with zeros behind it: for where many are kept.
    pub fn packed(&self) -> Zeroizing<[u8; DIGEST_LENGTH]> {
        let mut packed = Zeroizing::new([0; DIGEST_LENGTH]);
        let bytes = match &self.0 {
            Form::Token(token) => token.expose().as_bytes(),
            Form::Digest(digest) => &digest.bytes,
        };
        for (own, byte) in packed.iter_mut().zip(bytes) {
            *own = *byte;
        }
        packed
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        let (own, other) = (self.expose().as_bytes(), other.expose().as_bytes());
        own.ct_eq(other).into()
    }
}

impl Eq for TokenKey {}

// By the packed form, so that it is found where that is kept.
impl Hash for TokenKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.packed().as_slice().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W";
    const DIGEST: &str = "00ff0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab";

    #[test]
    fn either_form_survives_its_text() {
        for (text, is_token) in [(TOKEN, true), (DIGEST, false)] {
            let key = TokenKey::parse(text).unwrap();
            assert_eq!(key.expose(), text);
            assert_eq!(key.token().is_some(), is_token);
            assert_eq!(key, TokenKey::parse(text).unwrap());
        }
        assert_ne!(TokenKey::parse(TOKEN), TokenKey::parse(DIGEST));
    }

    #[test]
    fn nothing_else_is_a_key() {
        for text in ["", "short", &DIGEST[1..], &DIGEST.to_uppercase()] {
            assert!(TokenKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_kept_hashed_cannot_be_presented() {
        let key = TokenKey::parse(DIGEST).unwrap();
        assert!(TokenValue::parse(key.expose()).is_none());
        assert!(key.token().is_none());
    }

    #[test]
    fn a_key_never_prints_itself() {
        for text in [TOKEN, DIGEST] {
            assert_eq!(format!("{:?}", TokenKey::parse(text).unwrap()), "***");
        }
    }
}

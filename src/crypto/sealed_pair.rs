//! A new pair for the client whose answer was lost: where only hashes of it are kept, nothing but the
//! refresh token that was spent for it opens it. ChaCha20-Poly1305 (RFC 8439) with a key made from that
//! token; a random nonce stands in front.

use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::random;
use crate::domain::token::{TOKEN_LENGTH, TokenValue};
use crate::domain::token_pair::{SealedPair, TokenPair};

/// Keeps this key apart from the hash by which the token itself is kept.
const CONTEXT: &[u8] = b"warp-sentinel successor v1";

/// Encrypts a pair for whoever has the token that is spent for it.
pub fn seal(pair: &TokenPair, spent: &TokenValue) -> Option<SealedPair> {
    let mut nonce = [0; NONCE_LEN];
    random::fill(&mut nonce);
    // As large as it gets: what grows leaves its text behind.
    let mut texts = Zeroizing::new(Vec::with_capacity(2 * TOKEN_LENGTH));
    texts.extend_from_slice(pair.access_token.expose().as_bytes());
    if let Some(refresh_token) = &pair.refresh_token {
        texts.extend_from_slice(refresh_token.expose().as_bytes());
    }
    let key = key(spent)?;
    let nonce_in_use = Nonce::assume_unique_for_key(nonce);
    let sealed = key.seal_in_place_separate_tag(nonce_in_use, Aad::empty(), &mut texts);
    let tag = sealed.ok()?;
    let parts = [&nonce[..], &texts, tag.as_ref()];
    Some(SealedPair(parts.concat().into()))
}

/// Reads a pair; `None` when another token was spent for it, or it was changed.
pub fn open(sealed: &SealedPair, spent: &TokenValue) -> Option<TokenPair> {
    let (nonce, sealed) = sealed.0.split_first_chunk::<NONCE_LEN>()?;
    let mut texts = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let texts = key(spent)?.open_in_place(nonce, Aad::empty(), &mut texts);
    let texts = str::from_utf8(texts.ok()?).ok()?;
    let (access_token, refresh_token) = texts.split_at_checked(TOKEN_LENGTH)?;
    Some(TokenPair {
        access_token: TokenValue::parse(access_token)?,
        refresh_token: if refresh_token.is_empty() {
            None
        } else {
            Some(TokenValue::parse(refresh_token)?)
        },
    })
}

// `None` never happens: HMAC takes a key of any length, and the cipher one of 32 bytes.
fn key(spent: &TokenValue) -> Option<LessSafeKey> {
    let mac = Hmac::<Sha256>::new_from_slice(spent.expose().as_bytes()).ok()?;
    let code: [u8; 32] = mac.chain_update(CONTEXT).finalize().into_bytes().into();
    let code = Zeroizing::new(code);
    let key = UnboundKey::new(&CHACHA20_POLY1305, code.as_slice()).ok()?;
    Some(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> TokenPair {
        TokenPair {
            access_token: random::token_value(),
            refresh_token: Some(random::token_value()),
        }
    }

    #[test]
    fn the_spent_token_alone_opens_a_pair() {
        let (spent, other) = (random::token_value(), random::token_value());
        let mut pair = pair();
        for _ in 0..2 {
            let sealed = seal(&pair, &spent).unwrap();
            assert_eq!(open(&sealed, &spent), Some(pair.clone()));
            assert_eq!(open(&sealed, &other), None);
            pair.refresh_token = None;
        }
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let spent = random::token_value();
        let sealed = seal(&pair(), &spent).unwrap();
        for position in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[position] ^= 1;
            assert_eq!(open(&changed, &spent), None);
            let cut = SealedPair(sealed.0[..position].into());
            assert_eq!(open(&cut, &spent), None);
        }
    }

    #[test]
    fn two_seals_of_one_pair_differ_and_hold_none_of_its_text() {
        let (pair, spent) = (pair(), random::token_value());
        let (one, other) = (seal(&pair, &spent).unwrap(), seal(&pair, &spent).unwrap());
        assert_ne!(one, other);
        let text = pair.access_token.expose().as_bytes();
        assert!(!one.0.windows(text.len()).any(|part| part == text));
    }
}

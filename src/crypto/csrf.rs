//! Tokens of the console's forms: no cookie and no state, so they hold on every server that has
//! the key and after a restart.
//!
//! A token is the base64url of its expiry (eight bytes of seconds since 1970) and the HMAC-SHA256
//! of what it is for, that expiry, and the console user it was made for.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// Keeps these codes apart from any other use of the key.
const CONTEXT: &[u8] = b"warp-sentinel console form v1";
const LIFETIME: Duration = Duration::hours(12);
const EXPIRY_BYTES: usize = 8;
const CODE_BYTES: usize = 32;

/// The key that all servers on one store share.
#[derive(Clone)]
pub struct CsrfKey(Zeroizing<[u8; 32]>);

impl CsrfKey {
    /// Wraps the shared key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// A token for the forms of a page shown to `user`, good for 12 hours.
    pub fn issue(&self, user: &str, now: OffsetDateTime) -> String {
        let expiry = (now + LIFETIME).unix_timestamp().to_be_bytes();
        let code = self.code(expiry, user);
        URL_SAFE_NO_PAD.encode([expiry.as_slice(), code.as_slice()].concat())
    }

    /// Whether `token` was issued to `user` and has not expired.
    pub fn check(&self, token: &str, user: &str, now: OffsetDateTime) -> bool {
        let mut bytes = [0; EXPIRY_BYTES + CODE_BYTES];
        let Ok(length) = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) else {
            return false;
        };
        let Some((expiry, code)) = bytes[..length].split_first_chunk::<EXPIRY_BYTES>() else {
            return false;
        };
        let is_ours: bool = self.code(*expiry, user).ct_eq(code).into();
        is_ours && i64::from_be_bytes(*expiry) > now.unix_timestamp()
    }

    fn code(&self, expiry: [u8; EXPIRY_BYTES], user: &str) -> [u8; CODE_BYTES] {
        // RFC 2104 §2 pads a short key with zeros to the hash's block; a key of that length is
        // never refused.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(self.0.as_slice());
        Hmac::<Sha256>::new((&*block).into())
            .chain_update(CONTEXT)
            .chain_update(expiry)
            .chain_update(user)
            .finalize()
            .into_bytes()
            .into()
    }
}

impl fmt::Debug for CsrfKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_is_a_token(text in "[A-Za-z0-9_-]{50,58}|.{0,80}", user: String) {
            prop_assert!(!key().check(&text, &user, NOW));
        }

        #[test]
        fn any_users_token_is_good_for_that_user_alone(
            user: String,
            other: String,
            seconds in 0..i64::from(u32::MAX),
        ) {
            let now = NOW + Duration::seconds(seconds);
            let token = key().issue(&user, now);
            prop_assert!(key().check(&token, &user, now));
            prop_assert_eq!(key().check(&token, &other, now), user == other);
        }
    }

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn key() -> CsrfKey {
        CsrfKey::new([1; 32])
    }

    #[test]
    fn a_token_is_good_for_its_user_for_twelve_hours() {
        let token = key().issue("admin", NOW);
        let nearly = NOW + Duration::hours(12) - Duration::seconds(1);
        assert!(key().check(&token, "admin", nearly));
        assert!(!key().check(&token, "admin", NOW + Duration::hours(12)));
        assert!(!key().check(&token, "admim", NOW));
        assert!(!key().check(&token, "", NOW));
        assert!(!CsrfKey::new([2; 32]).check(&token, "admin", NOW));
    }

    #[test]
    fn no_changed_bit_is_overlooked() {
        let token = URL_SAFE_NO_PAD.decode(key().issue("admin", NOW)).unwrap();
        for bit in 0..token.len() * 8 {
            let mut changed = token.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(!key().check(&changed, "admin", NOW), "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = key().issue("admin", NOW);
        let longer = format!("{token}AAAA");
        let code_alone = &token[..token.len() - 4];
        for bad in ["", "AAAA", "not base64url!", "é", &longer, code_alone] {
            assert!(!key().check(bad, "admin", NOW), "{bad:?}");
        }
    }

    #[test]
    fn the_code_is_the_hmac_of_rfc_2104() {
        // Computed with OpenSSL over the context, the eight bytes of 43,200, and "admin".
        assert_eq!(
            key().issue("admin", NOW),
            "AAAAAAAAqMDh3T4UPlHZ2JHVgBIJovqr_aTAwxilScN_M9vwHr1iZA"
        );
    }
}

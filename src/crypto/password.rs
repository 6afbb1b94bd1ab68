//! Password hashes: bcrypt, as Flask-Sentinel made them, made and compared.
//!
//! Everything here but `dummy` and the inspections holds its thread for the time of a hash.

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use thiserror::Error;

use super::random;
use crate::domain::user::{HashOrigin, MAX_NEW_PASSWORD_BYTES, Password, PasswordHash};

/// Log2 of the fewest rounds that bcrypt knows.
pub const MIN_COST: u32 = 4;
/// Log2 of the most rounds we compute. One more doubles the time, so a stored hash that asks for
/// more could hold a thread for hours; it counts as corrupt.
pub const MAX_COST: u32 = 15;

/// What comparing a password with a stored hash told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the password.
    Match,
    /// It is not.
    Mismatch,
    /// The stored hash is malformed or its cost out of range: no password matches.
    Corrupt,
}

/// Why a password cannot be hashed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HashError {
    /// It is over 71 bytes or has a NUL.
    #[error("a password has at most 71 bytes and no NUL")]
    Password,
    /// The cost is not from 4 to 15.
    #[error("the cost of a password hash is from 4 to 15")]
    Cost,
}

/// Hashes a new password (`$2b$`).
///
/// # Errors
/// [`HashError::Password`] and [`HashError::Cost`], as they say.
pub fn hash(password: &Password, cost: u32) -> Result<PasswordHash, HashError> {
    password.check_new(0).map_err(|_| HashError::Password)?;
    if !(MIN_COST..=MAX_COST).contains(&cost) {
        return Err(HashError::Cost);
    }
    let parts = bcrypt::non_truncating_hash_with_salt(password.as_bytes(), cost, salt())
        .map_err(|_| HashError::Password)?;
    Ok(PasswordHash::new(parts.to_string(), HashOrigin::Sentinel))
}

/// Compares a password with a stored hash. What takes the time of the stored hash's cost takes
/// that time whatever the outcome; a corrupt one takes the time of `dummy`, so that nobody can
/// tell it from an unknown user.
pub fn compare(password: &Password, stored: &PasswordHash, dummy: &PasswordHash) -> Comparison {
    compare_bytes(password.as_bytes(), stored, dummy)
}

// Bytes, since the published vectors are not all UTF-8. They are taken as they are, NULs included.
fn compare_bytes(password: &[u8], stored: &PasswordHash, dummy: &PasswordHash) -> Comparison {
    let hash = stored.as_str();
    // `verify` reads the first 72 bytes, as bcrypt did that Flask-Sentinel used.
    let Some(is_equal) = cost_of(stored).and_then(|_| bcrypt::verify(password, hash).ok()) else {
        // Computed for its time alone.
        let _ = bcrypt::verify(password, dummy.as_str());
        return Comparison::Corrupt;
    };
    let is_whole = match stored.origin() {
        HashOrigin::FlaskSentinel => true,
        // We hash no longer password, so what is longer only begins like the right one.
        HashOrigin::Sentinel => password.len() <= MAX_NEW_PASSWORD_BYTES,
    };
    if is_equal && is_whole {
        Comparison::Match
    } else {
        Comparison::Mismatch
    }
}

/// A hash that no password is known to match. It is drawn, not computed, and comparing with it
/// takes as long as with any of its cost (brought within 4 to 15).
pub fn dummy(cost: u32) -> PasswordHash {
    let cost = cost.clamp(MIN_COST, MAX_COST);
    let mut digest = [0; 23];
    random::fill(&mut digest);
    let salt = BASE_64.encode(salt());
    let digest = BASE_64.encode(digest);
    PasswordHash::new(
        format!("$2b${cost:02}${salt}{digest}"),
        HashOrigin::Sentinel,
    )
}

/// Log2 of the rounds of a hash; `None` when it is malformed or its cost is not from 4 to 15.
pub fn cost_of(hash: &PasswordHash) -> Option<u32> {
    parse_cost(hash.as_str())
}

/// Whether `text` is a bcrypt hash that we can compare with, and not a password.
pub fn looks_like_hash(text: &str) -> bool {
    parse_cost(text).is_some()
}

fn parse_cost(text: &str) -> Option<u32> {
    // `$2x$` marks hashes of a broken implementation, which the library would compare wrongly.
    let rest = ["$2a$", "$2b$", "$2y$"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    // The library would take a sign.
    let is_number = rest.bytes().take(2).all(|byte| byte.is_ascii_digit());
    let cost = text.parse::<HashParts>().ok()?.get_cost();
    (is_number && (MIN_COST..=MAX_COST).contains(&cost)).then_some(cost)
}

fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    random::fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const SEVENTY_TWO: &str =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    fn flask(text: &str) -> PasswordHash {
        PasswordHash::new(text.to_owned(), HashOrigin::FlaskSentinel)
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[track_caller]
    fn check(rows: &[(&[u8], &str)]) {
        for (bytes, hash) in rows {
            let row = String::from_utf8_lossy(bytes);
            let dummy = dummy(MIN_COST);
            let same = compare_bytes(bytes, &flask(hash), &dummy);
            assert_eq!(same, Comparison::Match, "{row:?} {hash}");
            let other = compare_bytes(&[b"x", *bytes].concat(), &flask(hash), &dummy);
            assert_eq!(other, Comparison::Mismatch, "x{row:?} {hash}");
        }
    }

    #[test]
    fn the_vectors_of_crypt_blowfish_match() {
        // Openwall crypt_blowfish 1.3, wrapper.c.
        let long = [SEVENTY_TWO.as_bytes(), b"chars after 72 are ignored"].concat();
        let aa = [&[0xaa; 72][..], b"chars after 72 are ignored as usual"].concat();
        check(&[
            (
                b"U*U",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            ),
            (
                b"U*U*",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
            ),
            (
                b"U*U*U",
                "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
            ),
            (
                b"",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy",
            ),
            (
                &long,
                "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
            ),
            (
                b"\xa3",
                "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq",
            ),
            (
                b"\xa3",
                "$2b$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq",
            ),
            (
                b"\xff\xff\xa3",
                "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
            ),
            (
                &aa,
                "$2a$05$/OK.fbVrR/bpIqNJ5ianF.swQOIzjOiJ9GHEPuhEkvqrUyvWhEMx6",
            ),
        ]);
    }

    #[test]
    fn passwords_in_utf8_and_about_72_bytes_match() {
        // Computed with libxcrypt 4.4.
        let across = format!("{}é", "x".repeat(71));
        let accents = format!("{}xy", "é".repeat(35));
        let [y71, y72, y73] = [71, 72, 73].map(|length| "y".repeat(length));
        check(&[
            (
                "pässwörd".as_bytes(),
                "$2y$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC",
            ),
            (
                accents.as_bytes(),
                "$2b$04$abcdefghijklmnopqrstuuypjlPxmpH4Ld4RThxHfdvvXHjQ2TYzG",
            ),
            (
                across.as_bytes(),
                "$2b$04$abcdefghijklmnopqrstuuBQHqZaO/dlDRZ.TvJ67we2MtFVZUvA2",
            ),
            (
                y71.as_bytes(),
                "$2b$04$abcdefghijklmnopqrstuu6R5AWNEaY6FuWS0k.9HTvKu/rkDr.OC",
            ),
            (
                y72.as_bytes(),
                "$2b$04$abcdefghijklmnopqrstuuwurWIdVVT4m5pTArtqnFNM69nySdHj.",
            ),
            (
                y73.as_bytes(),
                "$2b$04$abcdefghijklmnopqrstuuwurWIdVVT4m5pTArtqnFNM69nySdHj.",
            ),
        ]);
    }

    #[test]
    fn the_first_72_bytes_decide_for_a_hash_of_flask_sentinel() {
        let stored = flask("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui");
        let dummy = dummy(MIN_COST);
        let rows = [
            (SEVENTY_TWO[..71].to_owned(), Comparison::Mismatch),
            (SEVENTY_TWO.to_owned(), Comparison::Match),
            (format!("{SEVENTY_TWO}é"), Comparison::Match),
        ];
        for (text, expected) in rows {
            assert_eq!(
                compare(&password(&text), &stored, &dummy),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_password_over_71_bytes_never_matches_a_hash_of_ours() {
        let dummy = dummy(MIN_COST);
        let longest = password(&SEVENTY_TWO[..71]);
        let ours = hash(&longest, MIN_COST).unwrap();
        assert_eq!(compare(&longest, &ours, &dummy), Comparison::Match);

        let text = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
        let ours = PasswordHash::new(text.to_owned(), HashOrigin::Sentinel);
        let long = password(SEVENTY_TWO);
        assert_eq!(compare(&long, &ours, &dummy), Comparison::Mismatch);
    }

    #[test]
    fn a_nul_is_a_byte_like_any_other() {
        let stored = bcrypt::hash("a\0b", MIN_COST).unwrap();
        let dummy = dummy(MIN_COST);
        let outcome = |text| compare(&password(text), &flask(&stored), &dummy);
        assert_eq!(outcome("a\0b"), Comparison::Match);
        assert_eq!(outcome("a"), Comparison::Mismatch);
    }

    #[test]
    fn a_new_hash_is_salted_and_tells_its_cost() {
        let one = hash(&password("pass"), 5).unwrap();
        let other = hash(&password("pass"), 5).unwrap();
        assert!(one.as_str().starts_with("$2b$05$"));
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.origin(), HashOrigin::Sentinel);
        assert_eq!(cost_of(&one), Some(5));
    }

    #[test]
    fn what_bcrypt_would_cut_is_not_hashed() {
        for text in [SEVENTY_TWO, "a\0b"] {
            assert_eq!(hash(&password(text), 4).err(), Some(HashError::Password));
        }
        for cost in [3, 16] {
            assert_eq!(hash(&password("pass"), cost).err(), Some(HashError::Cost));
        }
    }

    #[test]
    fn what_is_no_hash_of_ours_is_corrupt() {
        let good = "$2b$04$abcdefghijklmnopqrstuuPp7HPfoAs8I2dCQCQ/fW7zEJv8I8C8e";
        assert!(looks_like_hash(good));
        let dummy = dummy(MIN_COST);
        for bad in [
            "",
            "pass",
            &good[..59],
            &format!("{good}e"),
            &good.replace("$2b$", "$2x$"),
            &good.replace("$04$", "$03$"),
            &good.replace("$04$", "$16$"),
            &good.replace("$04$", "$31$"),
            &good.replace("$04$", "$+4$"),
            &good.replace("$04$", "$4$0"),
            &good.replace("/fW", "éW"),
            &good.replace("/fW", "=fW"),
        ] {
            assert!(!looks_like_hash(bad), "{bad}");
            assert_eq!(cost_of(&flask(bad)), None, "{bad}");
            let outcome = compare(&password("x"), &flask(bad), &dummy);
            assert_eq!(outcome, Comparison::Corrupt, "{bad}");
        }
    }

    #[test]
    fn a_corrupt_hash_takes_the_time_of_the_dummy() {
        let dummy = dummy(9);
        let time_of = |stored: &PasswordHash| {
            let times = (0..3).map(|_| {
                let start = Instant::now();
                compare(&password("x"), stored, &dummy);
                start.elapsed()
            });
            times.min().unwrap_or(Duration::MAX)
        };
        let dummys = time_of(&dummy);
        for corrupt in [
            "pass",
            "$2b$31$abcdefghijklmnopqrstuuPp7HPfoAs8I2dCQCQ/fW7zEJv8I8C8e",
        ] {
            assert!(time_of(&flask(corrupt)) * 4 > dummys, "{corrupt}");
        }
    }

    #[test]
    fn a_dummy_is_a_hash_that_nothing_matches() {
        let one = dummy(5);
        assert_eq!(cost_of(&one), Some(5));
        assert_ne!(one.as_str(), dummy(5).as_str());
        assert_eq!(compare(&password(""), &one, &one), Comparison::Mismatch);
        assert_eq!(cost_of(&dummy(31)), Some(MAX_COST));
    }
}

use std::time::{Duration, Instant};

use super::*;

const SEVENTY_TWO: &str =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Computed in lanes and by the library: the same.
fn digest(password: &[u8], recipe: Recipe) -> Digest {
    let alone = digest_alone(password, recipe);
    let in_lanes = bcrypt_lanes::hash_many(recipe.cost, &[(password, recipe.salt); 2]);
    assert_eq!(in_lanes, [alone; 2]);
    alone
}

fn compare_bytes(password: &[u8], stored: &PasswordHash, dummy: &PasswordHash) -> Comparison {
    let comparing = Comparing::new(password, stored, dummy);
    comparing.decide(&digest(password, comparing.recipe))
}

fn compare(password: &Password, stored: &PasswordHash, dummy: &PasswordHash) -> Comparison {
    compare_bytes(password.as_bytes(), stored, dummy)
}

fn hash(password: &Password, cost: u32) -> Result<PasswordHash, HashError> {
    let making = Making::new(password, cost)?;
    Ok(making.finish(&digest(password.as_bytes(), making.recipe)))
}

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

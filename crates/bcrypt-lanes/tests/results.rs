//! The results are those of every other bcrypt.
#![allow(clippy::unwrap_used, reason = "helpers of tests do not count as tests")]

use std::cell::Cell;

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use bcrypt_lanes::{Cost, Digest, Hash, Lanes, MAX_LANES, Salt, hash_many, verify_many};
use proptest::collection::vec;
use proptest::prelude::*;

fn cost(log2: u32) -> Cost {
    Cost::new(log2).unwrap()
}

fn parse(text: &str) -> Hash {
    let rest = text.rsplit('$').next().unwrap();
    let (salt, digest) = rest.split_at(22);
    Hash {
        cost: cost(text[4..6].parse().unwrap()),
        salt: BASE_64.decode(salt).unwrap().try_into().unwrap(),
        digest: BASE_64.decode(digest).unwrap().try_into().unwrap(),
    }
}

fn of_the_crate(password: &[u8], log2: u32, salt: Salt) -> Digest {
    let parts: HashParts = bcrypt::hash_with_salt(password, log2, salt).unwrap();
    parse(&parts.to_string()).digest
}

/// Published with jBCrypt, Openwall's `crypt_blowfish` and OpenBSD.
const VECTORS: &[(&[u8], &str)] = &[
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
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\
          chars after 72 are ignored",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
    (
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "$2b$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
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
        &[0xaa; 72],
        "$2a$05$/OK.fbVrR/bpIqNJ5ianF.swQOIzjOiJ9GHEPuhEkvqrUyvWhEMx6",
    ),
    // jBCrypt's.
    (
        b"a",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
    ),
    (
        b"abc",
        "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
    ),
];

#[test]
fn published_vectors_hold() {
    for &(password, text) in VECTORS {
        let hash = parse(text);
        assert!(verify_many(&[(password, &hash)])[0], "{text}");
        assert!(!verify_many(&[(b"something else", &hash)])[0], "{text}");
    }
}

#[test]
fn published_vectors_of_many_costs_hold_beside_each_other() {
    let hashes: Vec<(&[u8], Hash)> = VECTORS
        .iter()
        .map(|(password, text)| (*password, parse(text)))
        .collect();
    let pairs: Vec<(&[u8], &Hash)> = hashes.iter().map(|(p, hash)| (*p, hash)).collect();
    assert!(verify_many(&pairs).iter().all(|is_equal| *is_equal));
}

#[test]
fn lanes_of_every_count_give_what_the_crate_gives() {
    for count in 0..=2 * MAX_LANES {
        let passwords: Vec<(Vec<u8>, Salt)> = (0..count)
            .map(|at| (vec![b'a'; at * 7], [u8::try_from(at).unwrap(); 16]))
            .collect();
        for log2 in 4..=6 {
            let given: Vec<(&[u8], Salt)> = passwords.iter().map(|(p, s)| (&p[..], *s)).collect();
            let expected: Vec<Digest> = given
                .iter()
                .map(|(password, salt)| of_the_crate(password, log2, *salt))
                .collect();
            assert_eq!(hash_many(cost(log2), &given), expected, "{count} at {log2}");
        }
    }
}

#[test]
fn costs_are_from_4_to_31() {
    assert!(Cost::new(3).is_err() && Cost::new(32).is_err());
    assert_eq!(cost(31).log2(), 31);
}

#[test]
fn a_full_set_of_lanes_takes_nothing_more_and_one_given_up_makes_room() {
    let mut lanes = Lanes::new();
    for tag in 0..MAX_LANES {
        lanes.join(b"password", [0; 16], cost(4), tag).unwrap();
    }
    assert!(lanes.is_full());
    assert_eq!(lanes.join(b"password", [0; 16], cost(4), 9), Err(9));
    lanes.give_up(|tag| *tag == 2);
    lanes.join(b"password", [9; 16], cost(4), 9).unwrap();
    let mut done = Vec::new();
    while !lanes.is_empty() {
        lanes.step(|tag, digest| done.push((tag, digest)));
    }
    done.sort_unstable();
    let tags: Vec<usize> = done.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, [0, 1, 3, 4, 5, 9]);
    for (tag, digest) in done {
        let salt = if tag == 9 { [9; 16] } else { [0; 16] };
        assert_eq!(digest, of_the_crate(b"password", 4, salt));
    }
}

#[test]
fn a_step_pauses_four_times_before_it_hands_out_and_pauses_change_no_result() {
    for count in 0..=MAX_LANES {
        let mut lanes = Lanes::new();
        for _ in 0..count {
            lanes.join(b"password", [7; 16], cost(4), ()).unwrap();
        }
        let is_used = count > 0;
        for _ in 0..16 {
            let pauses = Cell::new(0);
            let done = |(), digest| {
                assert_eq!(pauses.get(), 4);
                assert_eq!(digest, of_the_crate(b"password", 4, [7; 16]));
            };
            lanes.step_with_pauses(|| pauses.set(pauses.get() + 1), done);
            assert_eq!(pauses.get(), if is_used { 4 } else { 0 }, "{count}");
        }
        assert!(lanes.is_empty());
    }
}

/// A password, often one that is near what bcrypt reads, of any bytes.
fn password() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..20),
        vec(any::<u8>(), 68..80),
        vec(
            prop_oneof![Just(0), Just(0x80), Just(0xff), any::<u8>()],
            0..80
        ),
    ]
}

/// Passwords that join at some step each.
fn arrivals() -> impl Strategy<Value = Vec<(Vec<u8>, Salt, u32, usize)>> {
    let log2 = prop_oneof![9 => Just(4_u32), 1 => Just(5)];
    vec((password(), any::<Salt>(), log2, 0_usize..40), 1..12)
}

proptest! {
    // Six of each on average: together more than 10,000 hashes.
    #![proptest_config(ProptestConfig::with_cases(1_800))]

    #[test]
    fn random_passwords_that_come_and_go_give_what_the_crate_gives(mut arrivals in arrivals()) {
        arrivals.sort_by_key(|(.., step)| *step);
        let count = arrivals.len();
        let mut lanes = Lanes::new();
        let mut waiting = arrivals.iter().enumerate().peekable();
        let mut digests = vec![[0; 23]; count];
        let mut done = 0;
        for step in 0.. {
            while !lanes.is_full()
                && let Some((at, (password, salt, log2, _))) =
                    waiting.next_if(|(_, (.., from))| *from <= step)
            {
                lanes.join(password, *salt, cost(*log2), at).unwrap();
            }
            lanes.step(|at, digest| {
                digests[at] = digest;
                done += 1;
            });
            if done == count {
                break;
            }
        }
        for ((password, salt, log2, _), digest) in arrivals.iter().zip(digests) {
            prop_assert_eq!(digest, of_the_crate(password, *log2, *salt));
        }
    }
}

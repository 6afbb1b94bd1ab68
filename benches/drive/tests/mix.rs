//! Weights of kinds, as they are given and as they are drawn.

use crate::program::kind::Kind;
use crate::program::mix::Mix;
use crate::program::random::Random;

#[test]
fn a_mix_is_weights_by_kind() {
    let rows = [
        (
            "verify=90,refresh=9,login=1",
            Ok("verify=90,refresh=9,login=1"),
        ),
        ("login=1,verify=2", Ok("verify=2,login=1")),
        ("verify=0,login=3", Ok("login=3")),
        ("verify=0", Err("zero")),
        ("", Err("KIND=WEIGHT")),
        ("verify", Err("KIND=WEIGHT")),
        ("verify=-1", Err("whole number")),
        ("verify=1.5", Err("whole number")),
        ("logout=1", Err("verify, refresh, login")),
        ("verify=1,verify=2", Err("twice")),
    ];
    for (text, wanted) in rows {
        let parsed = text.parse::<Mix>();
        match (&parsed, wanted) {
            (Ok(mix), Ok(shown)) => assert_eq!(mix.to_string(), shown),
            (Err(error), Err(words)) => assert!(error.contains(words), "{text}: {error}"),
            _ => panic!("{text}: {parsed:?}"),
        }
    }
}

#[test]
fn kinds_are_drawn_by_their_weights() {
    let mix: Mix = "verify=90,refresh=9,login=1".parse().unwrap();
    let mut random = Random::of(1);
    let drawn: Vec<Kind> = (0..100_000).map(|_| mix.draw(&mut random)).collect();
    for (kind, wanted) in [
        (Kind::Verify, 90_000),
        (Kind::Refresh, 9_000),
        (Kind::Login, 1_000),
    ] {
        let count = drawn.iter().filter(|other| **other == kind).count();
        assert!(count.abs_diff(wanted) < 400, "{kind:?} {count}");
    }
}

//! The checker on made-up histories: it must find what it is for, and nothing else.

use std::time::Duration;

use super::check::violations;
use super::entry::{Asked, Entry, Pair, Told};

/// A request of one session to the first server, from second `began` to second `ended`.
fn at(began: u64, ended: u64, asked: Asked, told: Told) -> Entry {
    Entry {
        session: 0,
        server: 0,
        began: Duration::from_secs(began),
        ended: Duration::from_secs(ended),
        asked,
        told,
    }
}

fn elsewhere(mut entry: Entry) -> Entry {
    entry.server = 1;
    entry
}

fn pair(name: &str) -> Told {
    Told::Pair(Pair {
        access: access(name),
        refresh: refresh(name),
    })
}

fn access(name: &str) -> String {
    format!("access {name}")
}

fn refresh(name: &str) -> String {
    format!("refresh {name}")
}

fn verify(name: &str) -> Asked {
    Asked::Verify(access(name))
}

fn rotate(name: &str) -> Asked {
    Asked::Refresh(refresh(name))
}

fn revoke(name: &str) -> Asked {
    Asked::Revoke(access(name))
}

#[track_caller]
fn check(entries: &[Entry], expected: &[&str]) {
    let found = violations(entries);
    let is_as_expected =
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.starts_with(b));
    assert!(is_as_expected, "{found:#?}");
}

#[test]
fn a_history_in_which_all_is_well_holds_no_violation() {
    check(
        &[
            at(0, 1, Asked::Login, pair("a")),
            at(2, 3, verify("a"), Told::Yes),
            at(4, 5, rotate("a"), Told::Unknown),
            at(6, 7, verify("a"), Told::No),
            at(8, 9, rotate("a"), pair("b")),
            at(10, 11, verify("a"), Told::No),
            at(12, 13, revoke("b"), Told::Unknown),
            at(14, 15, rotate("b"), Told::No),
            at(16, 17, Asked::Login, pair("c")),
            at(18, 19, verify("c"), Told::Yes),
        ],
        &[],
    );
}

#[test]
fn a_lost_token_is_found() {
    let lost = "an acknowledged token is lost";
    let login = at(0, 1, Asked::Login, pair("a"));
    check(&[login.clone(), at(2, 3, verify("a"), Told::No)], &[lost]);
    check(&[login.clone(), at(2, 3, rotate("a"), Told::No)], &[lost]);
    // A repeat of a refresh whose answer was lost must bring the pair, however late.
    let unanswered = at(2, 3, rotate("a"), Told::Unknown);
    let refused = at(30, 31, rotate("a"), Told::No);
    check(&[login.clone(), unanswered, refused], &[lost]);
    // What ended before the pair was asked for did not end it.
    let before = at(0, 1, Asked::Login, Told::Unknown);
    let login = at(2, 3, Asked::Login, pair("a"));
    check(&[before, login, at(4, 5, verify("a"), Told::No)], &[lost]);
}

#[test]
fn a_token_that_another_session_ended_is_lost() {
    let mut other = at(2, 3, Asked::Login, pair("b"));
    other.session = 1;
    let login = at(0, 1, Asked::Login, pair("a"));
    let refused = at(4, 5, verify("a"), Told::No);
    check(&[login, other, refused], &["an acknowledged token is lost"]);
}

#[test]
fn a_double_successor_is_found() {
    check(
        &[
            at(0, 1, Asked::Login, pair("a")),
            at(2, 3, rotate("a"), pair("b")),
            at(2, 4, rotate("a"), pair("c")),
        ],
        &["a refresh token with two successors"],
    );
}

#[test]
fn a_token_that_is_issued_twice_is_found() {
    check(
        &[
            at(0, 1, Asked::Login, pair("a")),
            at(2, 3, Asked::Login, pair("a")),
        ],
        &["a token was issued twice"],
    );
}

#[test]
fn an_ended_access_token_that_is_accepted_is_found() {
    let accepted = "an ended token was accepted";
    for end in [
        at(2, 3, Asked::Login, pair("b")),
        at(2, 3, rotate("a"), pair("b")),
        at(2, 3, revoke("a"), Told::Yes),
    ] {
        let login = at(0, 1, Asked::Login, pair("a"));
        let verified = at(4, 5, verify("a"), Told::Yes);
        check(&[login.clone(), end.clone(), verified], &[accepted]);
        // Another server has a second to hear of it, and no longer.
        let soon = elsewhere(at(4, 5, verify("a"), Told::Yes));
        check(&[login.clone(), end.clone(), soon], &[]);
        let late = elsewhere(at(5, 6, verify("a"), Told::Yes));
        check(&[login, end, late], &[accepted]);
    }
}

#[test]
fn an_ended_refresh_token_that_is_accepted_is_found() {
    for end in [
        at(2, 3, Asked::Login, pair("b")),
        at(2, 3, revoke("a"), Told::Yes),
    ] {
        let login = at(0, 1, Asked::Login, pair("a"));
        let rotated = elsewhere(at(4, 5, rotate("a"), pair("c")));
        check(
            &[login, end, rotated],
            &["an ended refresh token was accepted"],
        );
    }
}

#[test]
fn a_repeat_that_brings_an_ended_pair_back_is_found() {
    check(
        &[
            at(0, 1, Asked::Login, pair("a")),
            at(2, 3, rotate("a"), pair("b")),
            at(4, 5, Asked::Login, pair("c")),
            at(6, 7, rotate("a"), pair("b")),
        ],
        &["an ended refresh token was accepted"],
    );
}

#[test]
fn an_answer_of_unknown_outcome_may_have_been_carried_out_or_not() {
    for ending in [Asked::Login, rotate("a"), revoke("a")] {
        for told in [Told::Yes, Told::No] {
            let login = at(0, 1, Asked::Login, pair("a"));
            let unknown = at(2, 3, ending.clone(), Told::Unknown);
            check(&[login, unknown, at(4, 5, verify("a"), told)], &[]);
        }
    }
}

#[test]
fn a_refused_login_and_an_odd_answer_are_found() {
    check(
        &[at(0, 1, Asked::Login, Told::No)],
        &["a login was refused"],
    );
    check(
        &[at(0, 1, verify("a"), Told::Odd("500".to_owned()))],
        &["an answer that no server should give"],
    );
}

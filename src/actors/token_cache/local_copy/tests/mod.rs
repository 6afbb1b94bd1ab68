mod model;

use super::entries::{BYTES, ENTRIES};
use super::order::FORGOTTEN;
use super::*;
use crate::domain::client::ClientId;
use crate::domain::scope::Scope;
use crate::domain::token::{Grant, GrantUser, RecordId};

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn live(client_id: &str, username: &str) -> LiveToken {
    let grant = Grant {
        user: Some(GrantUser {
            id: RecordId([7; 12]),
            username: username.to_owned(),
        }),
        client_id: ClientId::new(client_id),
        scope: Scope::parse("read write").unwrap(),
        issued_at: START,
        expires_at: START + time::Duration::hours(1),
    };
    LiveToken::new(&grant).unwrap()
}

fn entry(letter: char) -> (TokenKey, LiveToken) {
    let token = TokenKey::parse(&letter.to_string().repeat(30)).unwrap();
    (token, live("c", "jonas"))
}

// A token that a client got for itself.
fn of_a_client() -> (TokenKey, LiveToken) {
    let (token, live) = entry('a');
    let grant = Grant {
        user: None,
        ..live.grant()
    };
    (token, LiveToken::new(&grant).unwrap())
}

fn numbered(number: usize) -> TokenKey {
    TokenKey::parse(&format!("{number:030}")).unwrap()
}

fn filled() -> (LocalCopy, TokenKey) {
    let (local, (token, live)) = (LocalCopy::new(), entry('a'));
    local.trust(Source::Connection(1));
    local.fill(local.note(), vec![(token.clone(), live)]);
    (local, token)
}

#[test]
fn a_filled_token_is_found_until_it_expires() {
    let (local, token) = filled();
    assert!(local.find(&token, START).is_some());
    assert!(
        local
            .find(&token, START + time::Duration::hours(1))
            .is_none()
    );
}

#[test]
fn an_invalidation_that_overtakes_a_look_up_wins() {
    let (local, _) = filled();
    let (token, live) = entry('b');
    let noted = local.note();
    local.forget(std::slice::from_ref(&token));
    local.fill(noted, vec![(token.clone(), live)]);
    assert!(local.find(&token, START).is_none());
}

#[test]
fn an_invalidation_holds_back_its_own_token_only() {
    let (local, _) = filled();
    let noted = local.note();
    local.forget(&[entry('b').0]);
    local.fill(noted, vec![entry('b'), entry('c')]);
    assert!(local.find(&entry('b').0, START).is_none());
    assert!(local.find(&entry('c').0, START).is_some());
}

#[test]
fn a_look_up_that_too_much_overtook_is_not_stored() {
    let (local, _) = filled();
    let noted = local.note();
    for _ in 0..=FORGOTTEN {
        local.forget(&[entry('b').0]);
    }
    local.fill(noted, vec![entry('c')]);
    assert!(local.find(&entry('c').0, START).is_none());
}

#[test]
fn nothing_is_served_or_kept_without_a_source_of_invalidations() {
    let (local, token) = filled();
    local.distrust(1);
    assert!(local.find(&token, START).is_none());
    local.fill(local.note(), vec![entry('a')]);
    local.trust(Source::Connection(2));
    assert!(local.find(&token, START).is_none());
}

#[test]
fn a_connection_lost_before_it_is_trusted_is_no_source() {
    let (local, (token, live)) = (LocalCopy::new(), entry('a'));
    local.distrust(1);
    local.trust(Source::Connection(1));
    local.fill(local.note(), vec![(token.clone(), live)]);
    assert!(local.find(&token, START).is_none());
}

#[test]
fn what_was_distrusted_is_asked_no_more_and_its_successor_is() {
    let (local, _) = filled();
    assert!(!local.has_lost(1));
    local.distrust(1);
    assert!(local.has_lost(1));
    assert!(!local.has_lost(2));
}

#[test]
fn the_loss_of_an_earlier_connection_changes_nothing() {
    let (local, token) = filled();
    local.distrust(0);
    assert!(local.find(&token, START).is_some());
}

#[test]
fn an_ended_token_is_not_filled_in_again_and_one_that_changed_is() {
    let (local, token) = filled();
    local.end(std::slice::from_ref(&token));
    local.fill(local.note(), vec![entry('a')]);
    assert!(local.find(&token, START).is_none() && local.is_ended(&token));
    local.forget(&[entry('b').0]);
    local.fill(local.note(), vec![entry('b')]);
    assert!(local.find(&entry('b').0, START).is_some());
}

#[test]
fn an_unknown_token_is_remembered_until_it_is_published() {
    let (local, token) = filled();
    local.fill_unknown(vec![token.clone()]);
    assert!(local.is_unknown(&token));
    local.forget(std::slice::from_ref(&token));
    assert!(!local.is_unknown(&token));
}

#[test]
fn it_is_bounded_in_entries_and_in_bytes_however_long_they_are() {
    let most = usize::try_from(ENTRIES).unwrap();
    for (username, is_full_of) in [("", most), (&*"x".repeat(1_000), most / 4)] {
        let (local, live) = (LocalCopy::new(), live("c", username));
        local.trust(Source::ThisProcess);
        for number in 0..=most {
            let found = vec![(numbered(number), live.clone())];
            local.fill(local.note(), found);
        }
        assert!(local.entries.len() <= is_full_of);
        assert!(
            local.entries.len() > is_full_of / 2,
            "{}",
            local.entries.len()
        );
        assert!(local.entries.weight() <= BYTES);
    }
    let (local, huge) = (LocalCopy::new(), live("c", &"x".repeat(20 << 20)));
    local.trust(Source::ThisProcess);
    local.fill(local.note(), vec![(numbered(0), huge)]);
    assert_eq!(local.entries.len(), 0);
}

#[test]
fn a_usual_token_costs_less_than_300_bytes() {
    let local = LocalCopy::new();
    local.trust(Source::ThisProcess);
    let usual = live(&"c".repeat(40), "jonas.jonasson");
    local.fill(local.note(), vec![(numbered(0), usual)]);
    let weight = local.entries.weight();
    assert!(weight < 300, "{weight}");
}

#[test]
fn what_nobody_tells_changes_of_is_kept_for_less_than_a_server_may_take_to_obey() {
    let (local, (token, live)) = (LocalCopy::new(), of_a_client());
    // It counts from the beginning of the look-up.
    let ago = |ago| Instant::now().checked_sub(ago).unwrap();
    let second = Duration::from_secs(1);
    for (asked_at, is_kept) in [
        (Instant::now() + second, true),
        (ago(UNTOLD_KEPT_FOR), false),
    ] {
        local.fill_untold(
            (local.note(), asked_at),
            vec![(token.clone(), live.clone())],
        );
        assert_eq!(local.find(&token, START).is_some(), is_kept);
    }
    assert!(UNTOLD_KEPT_FOR < Duration::from_millis(250));
}

#[test]
fn an_end_on_this_server_is_obeyed_at_once_though_nobody_tells_of_it() {
    let (local, (token, live)) = (LocalCopy::new(), of_a_client());
    let looked_up = (local.note(), Instant::now() + Duration::from_secs(1));
    local.fill_untold(looked_up, vec![(token.clone(), live.clone())]);
    assert!(local.find(&token, START).is_some());
    local.end(std::slice::from_ref(&token));
    assert!(local.find(&token, START).is_none());
    local.fill_untold(looked_up, vec![(token.clone(), live)]);
    assert!(local.find(&token, START).is_none());
}

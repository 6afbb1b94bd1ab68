//! Changes of users and clients, and the pairs that end with them.

use time::Duration;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::client_secret::StoredSecret;
use warp_sentinel::domain::standing::{SessionsOf, Standing};
use warp_sentinel::domain::token::TokenRecord;
use warp_sentinel::domain::user::{HashOrigin, PasswordHash};
use warp_sentinel::stores::Truth;
use warp_sentinel::stores::users_and_clients::{ClientChange, UserChange};

use super::super::fixtures::{client, id, new_user, noon, record, secret};
use super::{insert, insert_user};

const OTHER_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuJeWZ7Kk5J9xUcb0Y0jGb0m2Fz1nC2dG";

fn standing(is_disabled: bool, sessions_ended: u64) -> Standing {
    Standing {
        is_disabled,
        sessions_ended,
    }
}

pub(super) async fn a_change_of_a_user_counts_the_end_of_its_sessions(truth: &Truth) {
    let jonas = insert_user(truth, "jonas").await;
    let other = insert_user(truth, "other").await;
    let disable = |is_disabled| UserChange {
        is_disabled: Some(is_disabled),
        ..UserChange::default()
    };
    let new_hash = PasswordHash::new(OTHER_HASH.to_owned(), HashOrigin::Sentinel);
    let password = UserChange {
        password_hash: Some(new_hash),
        ..UserChange::default()
    };
    let sign_out = UserChange {
        is_signed_out: true,
        ..UserChange::default()
    };
    for (change, expected) in [
        (UserChange::default(), standing(false, 0)),
        (disable(true), standing(true, 1)),
        (disable(true), standing(true, 2)),
        (disable(false), standing(false, 2)),
        (password, standing(false, 3)),
        (sign_out, standing(false, 4)),
    ] {
        let changed = truth.users.update_user(jonas.id, &change).await.unwrap();
        let changed = changed.map(|user| user.standing());
        assert_eq!(changed, Some(expected), "{change:?}");
    }
    let asked = [jonas.id, id(99), other.id];
    let found = truth.users.find_user_standings(&asked).await.unwrap();
    assert_eq!(
        found,
        [Some(standing(false, 4)), None, Some(standing(false, 0))]
    );
    let found = truth.users.find_user("jonas").await.unwrap().unwrap();
    let hash = found.password_hash.unwrap();
    assert_eq!(
        (hash.as_str(), hash.origin()),
        (OTHER_HASH, HashOrigin::Sentinel)
    );
    let nobody = truth.users.update_user(id(99), &disable(true)).await;
    assert!(nobody.unwrap().is_none());
}

pub(super) async fn a_user_is_removed_only_as_it_was_disabled(truth: &Truth) {
    let jonas = insert_user(truth, "jonas").await;
    let is_gone = async |ended| truth.users.delete_user(jonas.id, ended).await.unwrap();
    assert!(!is_gone(0).await);
    let disabled = UserChange {
        is_disabled: Some(true),
        ..UserChange::default()
    };
    truth.users.update_user(jonas.id, &disabled).await.unwrap();
    assert!(!is_gone(0).await);
    assert!(truth.users.find_user("jonas").await.unwrap().is_some());
    assert!(is_gone(1).await);
    assert!(is_gone(1).await);
    assert!(truth.users.find_user("jonas").await.unwrap().is_none());
    let found = truth.users.find_user_standings(&[jonas.id]).await.unwrap();
    assert_eq!(found, [None]);
    // The name is free again.
    let again = truth.users.insert_user(&new_user("jonas")).await.unwrap();
    assert_ne!(again.id, jonas.id);
}

pub(super) async fn a_change_of_a_client_counts_the_end_of_its_sessions(truth: &Truth) {
    // Flask-Sentinel's identifiers may be any text.
    let (app, other) = (ClientId::new("a/b $%ä"), ClientId::new("other"));
    for id in [&app, &other] {
        let client = client(id.as_str());
        truth.clients.insert_client(&client).await.unwrap();
    }
    let change = |is_disabled, is_signed_out| ClientChange {
        is_disabled,
        is_signed_out,
    };
    for (change, expected) in [
        (change(None, false), standing(false, 0)),
        (change(Some(true), false), standing(true, 1)),
        (change(Some(false), false), standing(false, 1)),
        (change(None, true), standing(false, 2)),
    ] {
        let changed = truth.clients.update_client(&app, &change).await.unwrap();
        let changed = changed.map(|client| client.standing());
        assert_eq!(changed, Some(expected), "{change:?}");
    }
    truth.clients.count_end_of_all_sessions().await.unwrap();
    let nobody = ClientId::new("nobody");
    let asked = [app.clone(), nobody.clone(), other];
    let found = truth.clients.find_client_standings(&asked).await.unwrap();
    assert_eq!(
        found,
        [Some(standing(false, 3)), None, Some(standing(false, 1))]
    );
    let sign_out = change(None, true);
    let changed = truth.clients.update_client(&nobody, &sign_out).await;
    assert!(changed.unwrap().is_none());
    assert!(!truth.clients.delete_client(&app, 3).await.unwrap());
    let disable = change(Some(true), false);
    truth.clients.update_client(&app, &disable).await.unwrap();
    assert!(!truth.clients.delete_client(&app, 3).await.unwrap());
    assert!(truth.clients.delete_client(&app, 4).await.unwrap());
    assert!(truth.clients.delete_client(&app, 4).await.unwrap());
    assert!(truth.clients.find_client(&app).await.unwrap().is_none());
}

pub(super) async fn the_pairs_of_somebody_are_listed_by_page(truth: &Truth) {
    let of_client = |number, user, client: &str| TokenRecord {
        client_id: ClientId::new(client),
        ..record(number, id(user))
    };
    for record in [
        of_client(0, 1, "app"),
        of_client(10, 2, "app"),
        of_client(20, 1, "other"),
        of_client(30, 3, "app"),
        TokenRecord {
            user_id: None,
            ..of_client(40, 0, "other")
        },
    ] {
        insert(truth, record).await;
    }
    let app = SessionsOf::Client(ClientId::new("app"));
    for (of, expected) in [
        (SessionsOf::User(id(1)), vec![0, 20]),
        (SessionsOf::User(id(9)), vec![]),
        (app, vec![0, 10, 30]),
        (SessionsOf::Client(ClientId::new("other")), vec![20, 40]),
        (SessionsOf::Everyone, vec![0, 10, 20, 30, 40]),
    ] {
        let mut listed = Vec::new();
        loop {
            let after = listed.last().copied();
            let page = truth.tokens.list_sessions(&of, after, 2).await.unwrap();
            if page.is_empty() {
                break;
            }
            listed.extend(page.iter().map(|record| record.id));
        }
        let expected: Vec<_> = expected.into_iter().map(id).collect();
        assert_eq!(listed, expected, "{of:?}");
    }
}

pub(super) async fn secrets_are_replaced_by_the_first_who_read_them(truth: &Truth) {
    let app = client("app");
    truth.clients.insert_client(&app).await.unwrap();
    let replace = async |old: &[StoredSecret], new: &[StoredSecret]| {
        let replaced = truth.clients.replace_secrets(&app.id, old, new).await;
        replaced.unwrap()
    };
    let rotated = [secret(8), secret(9)];
    assert!(replace(&app.secrets, &rotated).await);
    assert!(!replace(&app.secrets, &[secret(10)]).await);
    let noted = noon() + Duration::hours(2);
    for (used, at) in [(secret(9), noted), (secret(9), noon()), (secret(7), noted)] {
        let note = truth.clients.note_secret_use(&app.id, used.id, at).await;
        note.unwrap();
    }
    let found = truth.clients.find_client(&app.id).await.unwrap().unwrap();
    let used = StoredSecret {
        last_used_at: Some(noted),
        ..secret(9)
    };
    assert_eq!(found.secrets, [secret(8), used]);
    // A note does not get in the way of who read the secrets before it.
    assert!(replace(&rotated, &[secret(9)]).await);
    let nobody = ClientId::new("nobody");
    let lost = truth.clients.note_secret_use(&nobody, secret(9).id, noted);
    lost.await.unwrap();
}

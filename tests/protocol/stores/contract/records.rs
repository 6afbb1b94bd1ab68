//! Users, clients and secrets.

use std::collections::HashSet;

use futures_util::future::join_all;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::user::HashOrigin;
use warp_sentinel::stores::Truth;
use warp_sentinel::stores::error::InsertError;

use super::super::fixtures::{HASH, client, id, new_user, noon};
use super::insert_user;

pub(super) async fn a_username_is_given_once(truth: &Truth) {
    let user = new_user("jonas");
    let inserts = (0..8).map(|_| truth.users.insert_user(&user));
    let outcomes = join_all(inserts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let is_taken = |outcome: &&Result<_, _>| matches!(outcome, Err(InsertError::Taken));
    assert_eq!(outcomes.iter().filter(is_taken).count(), 7);
    assert_eq!(truth.users.count_users().await.unwrap(), 1);
}

pub(super) async fn a_user_is_found_as_it_was_stored(truth: &Truth) {
    let stored = insert_user(truth, "jonas").await;
    let found = truth.users.find_user("jonas").await.unwrap().unwrap();
    assert_eq!(found.id, stored.id);
    assert_eq!(found.username, "jonas");
    assert_eq!(found.created_at, noon());
    assert!(!found.is_disabled);
    let hash = found.password_hash.unwrap();
    assert_eq!((hash.as_str(), hash.origin()), (HASH, HashOrigin::Sentinel));
    // Names are compared byte for byte, and are no patterns.
    for other in ["Jonas", "jonas ", "jon", "", ".*", "jonas\0"] {
        assert!(
            truth.users.find_user(other).await.unwrap().is_none(),
            "{other:?}"
        );
    }
}

pub(super) async fn several_users_are_found_by_name_in_the_order_asked_for(truth: &Truth) {
    let ids = [
        insert_user(truth, "a").await.id,
        insert_user(truth, "b").await.id,
    ];
    let asked = ["b", "nobody", "a", "b"].map(str::to_owned);
    let found = truth.users.find_users(&asked).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|user| Some(user.unwrap()?.id))
        .collect();
    assert_eq!(found, [Some(ids[1]), None, Some(ids[0]), Some(ids[1])]);
    assert!(truth.users.find_users(&[]).await.unwrap().is_empty());
}

pub(super) async fn users_are_found_by_identifier_and_listed_by_page(truth: &Truth) {
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        ids.push(insert_user(truth, name).await.id);
    }
    let asked = [ids[3], id(99), ids[0]];
    let found = truth.users.find_users_by_id(&asked).await.unwrap();
    let names: Vec<Option<&str>> = found
        .iter()
        .map(|user| user.as_ref().map(|user| user.username.as_str()))
        .collect();
    assert_eq!(names, [Some("d"), None, Some("a")]);

    ids.sort_unstable();
    let mut listed = Vec::new();
    loop {
        let page = truth
            .users
            .list_users(listed.last().copied(), 2)
            .await
            .unwrap();
        listed.extend(page.iter().map(|user| user.id));
        if page.len() < 2 {
            break;
        }
    }
    assert_eq!(listed, ids);
}

pub(super) async fn a_client_is_found_as_it_was_stored(truth: &Truth) {
    let stored = client("app");
    truth.clients.insert_client(&stored).await.unwrap();
    let again = truth.clients.insert_client(&stored).await;
    assert!(matches!(again, Err(InsertError::Taken)));
    let found = truth
        .clients
        .find_client(&stored.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(format!("{found:?}"), format!("{stored:?}"));
    assert_eq!(found.secrets, stored.secrets);
    let other = truth
        .clients
        .find_client(&ClientId::new("App"))
        .await
        .unwrap();
    assert!(other.is_none());
}

pub(super) async fn clients_are_listed_by_page(truth: &Truth) {
    for name in ["b", "d", "a", "c"] {
        truth.clients.insert_client(&client(name)).await.unwrap();
    }
    let first = truth.clients.list_clients(None, 3).await.unwrap();
    let names: Vec<&str> = first.iter().map(|client| client.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let rest = truth
        .clients
        .list_clients(Some(&first[2].id), 3)
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].id.as_str(), "d");
    assert_eq!(truth.clients.count_clients().await.unwrap(), 4);
}

pub(super) async fn a_secret_is_chosen_once(truth: &Truth) {
    let candidates = (1..9).map(|n| truth.secrets.find_or_insert_secret("csrf", [n; 32]));
    let chosen: HashSet<[u8; 32]> = join_all(candidates)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(chosen.len(), 1);
    let other = truth.secrets.find_or_insert_secret("other", [9; 32]).await;
    assert_eq!(other.unwrap(), [9; 32]);
    let again = truth.secrets.find_or_insert_secret("csrf", [0; 32]).await;
    assert!(chosen.contains(&again.unwrap()));
}

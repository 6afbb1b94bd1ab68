//! Finding token pairs and their grants.

use std::collections::HashSet;

use time::Duration;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::token::{RotatedFrom, TokenRecord};
use warp_sentinel::stores::Truth;
use warp_sentinel::stores::ends::SettledRounds;

use super::super::fixtures::{client, id, noon, record, token};
use super::{insert, insert_user};

pub(super) async fn pairs_are_found_by_their_tokens(truth: &Truth) {
    insert(truth, record(0, id(1))).await;
    insert(truth, record(10, id(2))).await;
    let asked = [token(10), token(99), token(0), token(10), token(1)];
    let found = truth.tokens.find_by_access_token(&asked).await.unwrap();
    assert_eq!(owners(&found), [Some(2), None, Some(1), Some(2), None]);
    let asked = [token(1), token(0), token(11)];
    let found = truth.tokens.find_by_refresh_token(&asked).await.unwrap();
    assert_eq!(owners(&found), [Some(1), None, Some(2)]);
}

pub(super) async fn a_present_refresh_token_wins_over_a_spent_one(truth: &Truth) {
    let spent = |number| {
        Some(RotatedFrom {
            refresh_token: token(number),
            at: noon(),
            sealed: None,
        })
    };
    let first = TokenRecord {
        rotated_from: spent(500),
        ..record(0, id(1))
    };
    let second = TokenRecord {
        // The present refresh token of the first pair.
        rotated_from: spent(1),
        ..record(10, id(2))
    };
    insert(truth, first).await;
    insert(truth, second).await;
    let asked = [token(500), token(1), token(11)];
    let found = truth.tokens.find_by_refresh_token(&asked).await.unwrap();
    assert_eq!(owners(&found), [Some(1), Some(1), Some(2)]);
    let spent = found[0].as_ref().unwrap().rotated_from.as_ref().unwrap();
    assert_eq!((&spent.refresh_token, spent.at), (&token(500), noon()));
}

pub(super) async fn pairs_are_found_by_session_and_family(truth: &Truth) {
    let family = id(900);
    for (number, user) in [(0, 1), (10, 2), (20, 3)] {
        let family = if user == 3 { id(901) } else { family };
        insert(
            truth,
            TokenRecord {
                family,
                ..record(number, id(user))
            },
        )
        .await;
    }
    let app = ClientId::new("app");
    let asked = [
        (app.clone(), id(2)),
        (ClientId::new("other"), id(1)),
        (app, id(1)),
    ];
    let found = truth.tokens.find_by_session(&asked).await.unwrap();
    assert_eq!(owners(&found), [Some(2), None, Some(1)]);
    let found = truth.tokens.find_by_family(&[family]).await.unwrap();
    let users: HashSet<_> = found.iter().map(|record| record.user_id.unwrap()).collect();
    assert_eq!(users, HashSet::from([id(1), id(2)]));
}

pub(super) async fn a_grant_needs_its_user_and_client(truth: &Truth) {
    let jonas = insert_user(truth, "jonas").await;
    truth.clients.insert_client(&client("app")).await.unwrap();
    // Long expired: whether it counts is not for the store to say.
    let old = noon() - Duration::days(400);
    let expired = TokenRecord {
        expires_at: old,
        refresh_expires_at: None,
        family_expires_at: None,
        session: None,
        ..record(0, jonas.id)
    };
    insert(truth, expired).await;
    insert(truth, record(10, id(404))).await;
    let foreign = TokenRecord {
        client_id: ClientId::new("gone"),
        ..record(20, jonas.id)
    };
    insert(truth, foreign).await;
    let asked = [0, 10, 20, 30].map(token);
    // Whose user or client is gone has a record all the same.
    let present = truth.tokens.find_present(&asked).await.unwrap();
    assert_eq!(present, HashSet::from([0, 10, 20].map(token)));
    let grants = truth.tokens.find_grants(&asked).await.unwrap();
    let grant = grants[0].as_ref().unwrap();
    let user = grant.user.as_ref().unwrap();
    assert_eq!((user.id, user.username.as_str()), (jonas.id, "jonas"));
    assert_eq!(grant.client_id.as_str(), "app");
    assert_eq!(grant.scope.to_string(), "read");
    assert_eq!((grant.issued_at, grant.expires_at), (noon(), old));
    assert_eq!(grants[1..], [None, None, None]);
}

pub(super) async fn live_records_are_listed_from_the_latest_expiry_on(truth: &Truth) {
    for (number, hours) in [(0, 2), (10, 4), (20, 1), (30, 3), (40, 3)] {
        let expires_at = noon() + Duration::hours(hours);
        let pair = record(number, id(number));
        insert(truth, TokenRecord { expires_at, ..pair }).await;
    }
    let now = noon() + Duration::hours(1);
    let first = truth.tokens.list_live(now, None, 2).await.unwrap();
    let rest = truth.tokens.list_live(now, first.last(), 9).await.unwrap();
    let listed = first
        .iter()
        .chain(&rest)
        .map(|record| record.access_token.clone());
    let in_order = [token(10), token(40), token(30), token(0)];
    assert_eq!(listed.collect::<Vec<_>>(), in_order);
}

pub(super) async fn nothing_asked_is_nothing_answered(truth: &Truth) {
    assert!(truth.users.find_users_by_id(&[]).await.unwrap().is_empty());
    assert!(truth.tokens.find_grants(&[]).await.unwrap().is_empty());
    assert!(
        truth
            .tokens
            .find_by_refresh_token(&[])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(truth.tokens.find_by_session(&[]).await.unwrap().is_empty());
    assert!(truth.tokens.find_by_family(&[]).await.unwrap().is_empty());
    assert!(truth.tokens.find_ends(&[]).await.unwrap().is_empty());
    assert!(truth.tokens.write(&[]).await.unwrap().is_empty());
    assert!(truth.tokens.find_present(&[]).await.unwrap().is_empty());
    truth.tokens.remember_ends(&[]).await.unwrap();
    truth
        .tokens
        .settle_ends(&SettledRounds::new())
        .await
        .unwrap();
    let unpublished = truth.tokens.find_unpublished_ends(&[]).await;
    assert!(unpublished.unwrap().is_empty());
    truth.tokens.confirm().await.unwrap();
    truth.tokens.ping().await.unwrap();
}

/// The last byte of the user's identifier, which the fixtures count up.
fn owners(found: &[Option<TokenRecord>]) -> Vec<Option<u8>> {
    let owner = |record: &TokenRecord| record.user_id.map(|id| id.0[11]);
    found.iter().map(|r| r.as_ref().and_then(owner)).collect()
}

//! Conditional writes of token pairs.

use futures_util::future::join_all;
use warp_sentinel::domain::client::ClientId;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::TokenRecord;
use warp_sentinel::stores::{TokenWrite, Truth};

use super::super::fixtures::{id, record, removal, replacement, token};
use super::insert;

pub(super) async fn a_user_and_client_have_one_pair(truth: &Truth) {
    let numbers: Vec<u32> = (0..16).map(|n| 10 * n).collect();
    let batches = numbers.iter().map(|number| async move {
        let insert = TokenWrite::Insert(record(*number, id(1)));
        truth.tokens.write(&[insert]).await.unwrap()[0]
    });
    let outcomes = join_all(batches).await;
    assert_eq!(outcomes.iter().filter(|is_done| **is_done).count(), 1);
    let winner = outcomes.iter().position(|is_done| *is_done).unwrap();
    let session = (ClientId::new("app"), id(1));
    let kept = truth.tokens.find_by_session(&[session]).await.unwrap();
    let kept = kept[0].as_ref().unwrap();
    assert_eq!(kept.access_token, token(numbers[winner]));
}

pub(super) async fn a_pair_is_replaced_by_the_first_who_read_it(truth: &Truth) {
    let old = insert(truth, record(0, id(1))).await;
    let attempts = (1..9).map(|n| {
        let write = replacement(&old, 10 * n);
        async move { truth.tokens.write(&[write]).await.unwrap()[0] }
    });
    let outcomes = join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|is_done| **is_done).count(), 1);
    let gone = truth
        .tokens
        .find_by_access_token(&[token(0)])
        .await
        .unwrap();
    assert!(gone[0].is_none());
}

pub(super) async fn a_replaced_pair_keeps_its_identifier(truth: &Truth) {
    let old = insert(truth, record(0, id(1))).await;
    let done = truth.tokens.write(&[replacement(&old, 10)]).await.unwrap();
    assert_eq!(done, [true]);
    let found = truth
        .tokens
        .find_by_access_token(&[token(10)])
        .await
        .unwrap();
    assert_eq!(found[0].as_ref().unwrap().id, old.id);
    let found = truth
        .tokens
        .find_by_refresh_token(&[token(1)])
        .await
        .unwrap();
    assert!(found[0].is_none());
}

pub(super) async fn a_pair_is_removed_only_as_it_was_read(truth: &Truth) {
    let old = insert(truth, record(0, id(1))).await;
    let new = TokenRecord {
        access_token: token(10),
        refresh_token: None,
        ..old.clone()
    };
    let replace = TokenWrite::Replace {
        expected: (&old).into(),
        record: new.clone(),
    };
    assert_eq!(truth.tokens.write(&[replace]).await.unwrap(), [true]);
    assert_eq!(truth.tokens.write(&[removal(&old)]).await.unwrap(), [false]);
    assert_eq!(truth.tokens.write(&[removal(&new)]).await.unwrap(), [true]);
    assert_eq!(truth.tokens.write(&[removal(&new)]).await.unwrap(), [false]);
}

pub(super) async fn each_write_of_a_batch_has_its_own_outcome(truth: &Truth) {
    let mut old = Vec::new();
    for n in 0..4 {
        old.push(insert(truth, record(10 * n, id(n))).await);
    }
    let stale = TokenRecord {
        access_token: token(9_000),
        ..old[1].clone()
    };
    let writes = [
        replacement(&old[0], 100),
        replacement(&stale, 110),
        removal(&old[2]),
        TokenWrite::Insert(record(120, id(3))),
        TokenWrite::Insert(record(130, id(77))),
        removal(&TokenRecord {
            id: id(555),
            ..old[3].clone()
        }),
    ];
    let outcomes = truth.tokens.write(&writes).await.unwrap();
    assert_eq!(outcomes, [true, false, true, false, true, false]);
    let tokens = [0, 10, 20, 30, 100, 110, 120, 130].map(token);
    let found = truth.tokens.find_by_access_token(&tokens).await.unwrap();
    let is_there: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(
        is_there,
        [false, true, false, true, true, false, false, true]
    );
}

pub(super) async fn a_large_batch_is_written_whole(truth: &Truth) {
    let inserts: Vec<TokenWrite> = (0..1_500)
        .map(|n| TokenWrite::Insert(record(2 * n, id(n))))
        .collect();
    let outcomes = truth.tokens.write(&inserts).await.unwrap();
    assert_eq!(outcomes, vec![true; 1_500]);
    let tokens: Vec<_> = (0..1_500).map(|n| token(2 * n)).collect();
    let found = truth.tokens.find_by_access_token(&tokens).await.unwrap();
    assert!(found.iter().all(Option::is_some));
}

pub(super) async fn a_pair_survives_with_all_its_fields(truth: &Truth) {
    let full = insert(truth, record(0, id(1))).await;
    let bare = TokenRecord {
        refresh_token: None,
        refresh_expires_at: None,
        scope: Scope::default(),
        refresh_scope: Scope::default(),
        ..record(10, id(2))
    };
    let bare = insert(truth, bare).await;
    let found = truth
        .tokens
        .find_by_access_token(&[token(0), token(10)])
        .await
        .unwrap();
    for (stored, found) in [full, bare].iter().zip(&found) {
        assert_eq!(format!("{found:?}"), format!("{:?}", Some(stored)));
    }
}

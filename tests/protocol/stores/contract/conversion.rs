//! What changes how tokens are kept.

use time::OffsetDateTime;
use warp_sentinel::crypto::token_keys;
use warp_sentinel::domain::token::{EndedToken, RotatedFrom, TokenRecord};
use warp_sentinel::domain::token_key::{TokenKey, TokenStorage};
use warp_sentinel::domain::token_pair::SealedPair;
use warp_sentinel::stores::token_conversion::KeptTokens;
use warp_sentinel::stores::{TokenWrite, Truth};

use super::super::fixtures::{end, id, noon, record, token};
use super::insert;

pub(super) async fn how_tokens_are_kept_is_noted_when_the_change_is_finished(truth: &Truth) {
    let conversion = &truth.conversion;
    let kept = conversion.kept_tokens().await.unwrap();
    assert_ne!(kept, KeptTokens::Hashing);
    let hashed = KeptTokens::All(TokenStorage::Hashed);
    if kept != hashed {
        conversion.begin_hashing().await.unwrap();
        let kept = conversion.kept_tokens().await.unwrap();
        assert_eq!(kept, KeptTokens::Hashing);
    }
    conversion.note_storage(TokenStorage::Hashed).await.unwrap();
    truth.tokens.confirm().await.unwrap();
    truth.tokens.ping().await.unwrap();
    let kept = conversion.kept_tokens().await.unwrap();
    assert_eq!(kept, hashed);
}

pub(super) async fn a_hashed_pair_is_found_by_its_hashes_alone(truth: &Truth) {
    let mut plain = record(0, id(1));
    plain.rotated_from = Some(RotatedFrom {
        refresh_token: token(5),
        at: noon(),
        sealed: None,
    });
    let plain = insert(truth, plain).await;
    let hashed = token_keys::hashed_record(&plain, noon());
    let sealed = hashed.rotated_from.as_ref().unwrap().sealed.clone();
    assert!(sealed.is_some_and(|SealedPair(bytes)| !bytes.is_empty()));
    let write = TokenWrite::Replace {
        expected: (&plain).into(),
        record: hashed.clone(),
    };
    assert_eq!(truth.tokens.write(&[write]).await.unwrap(), [true]);
    let tokens = &truth.tokens;
    let own = [hashed.access_token.clone()];
    let found = tokens.find_by_access_token(&own).await.unwrap();
    let found: TokenRecord = found[0].clone().unwrap();
    assert_eq!(format!("{found:?}"), format!("{hashed:?}"));
    assert_eq!(found.access_token, hashed.access_token);
    assert_eq!(
        found.rotated_from.unwrap().sealed,
        hashed.rotated_from.as_ref().unwrap().sealed
    );
    let spent = hashed.rotated_from.unwrap().refresh_token;
    for key in [hashed.refresh_token.unwrap(), spent] {
        let found = tokens.find_by_refresh_token(&[key]).await.unwrap();
        assert!(found[0].is_some());
    }
    for key in [token(1), token(5)] {
        let found = tokens.find_by_refresh_token(&[key]).await.unwrap();
        assert!(found[0].is_none());
    }
    let found = tokens.find_by_access_token(&[token(0)]).await.unwrap();
    assert!(found[0].is_none());
}

pub(super) async fn all_ends_are_listed_by_page_and_forgotten(truth: &Truth) {
    let long_ago = OffsetDateTime::UNIX_EPOCH;
    let ends: Vec<EndedToken> = (0..5)
        .map(|number| EndedToken {
            // Whether or not anybody could still present it.
            access_expires_at: if number == 2 { long_ago } else { noon() },
            ..end(&record(10 * number, id(number)), noon())
        })
        .collect();
    truth.tokens.remember_ends(&ends).await.unwrap();
    let conversion = &truth.conversion;
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = conversion.list_all_ends(after.as_ref(), 2).await.unwrap();
        assert!(page.ends.len() <= 2);
        listed.extend(page.ends.into_iter().map(|end| end.access_token));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let all: Vec<TokenKey> = (0..5).map(|number| token(10 * number)).collect();
    assert_eq!(listed, all);
    conversion.forget_ends(&ends[1..4]).await.unwrap();
    conversion.forget_ends(&ends[1..4]).await.unwrap();
    let left = conversion.list_all_ends(None, 10).await.unwrap().ends;
    let left: Vec<TokenKey> = left.into_iter().map(|end| end.access_token).collect();
    assert_eq!(left, [token(0), token(40)]);
    let found = truth
        .tokens
        .find_ends(&[token(11), token(41)])
        .await
        .unwrap();
    assert!(found[0].is_none() && found[1].is_some());
    // What was forgotten may be remembered anew.
    truth.tokens.remember_ends(&ends[1..2]).await.unwrap();
    let found = truth.tokens.find_ends(&[token(11)]).await.unwrap();
    assert!(found[0].is_some());
}

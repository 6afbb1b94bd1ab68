//! The memory of ends: what earlier versions left is known, and what a round is kept as.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use warp_sentinel::domain::token::EndedToken;
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::stores::ends::{SettledEnds, SettledRounds};

use super::super::fixtures::{end, id, noon, record, token};
use super::{fresh_settings, insert, open, raw};

/// What a round is marked with, and of what.
const MARKS: [&str; 4] = [
    "unanswered",
    "unanswered_of",
    "unpublished",
    "unpublished_of",
];
/// More than what becomes one round.
const EARLIER: u32 = 300;

#[tokio::test]
async fn ends_of_earlier_versions_are_known_after_the_next_start() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    let later = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
    for number in 0..EARLIER {
        let [access, refresh] = [2 * number, 2 * number + 1].map(token);
        let mut earlier = doc! {
            "_id": access.expose(),
            "refresh_token": refresh.expose(),
            "family": ObjectId::from_bytes(id(number).0),
            "ended_at": DateTime::now(),
            "expires": later,
            "forget_at": later,
        };
        if number == 7 {
            earlier.extend(doc! { "unanswered": true, "unpublished": true });
        }
        insert(&database, "ended_tokens", earlier).await;
    }
    insert(&database, "ended_tokens", doc! { "_id": "not a token" }).await;
    for start in ["first", "second"] {
        let truth = open(&settings).await;
        let spent: Vec<TokenKey> = (0..EARLIER).map(|number| token(2 * number + 1)).collect();
        let ends = truth.tokens.find_ends(&spent).await.unwrap();
        for (number, end) in (0..).zip(ends) {
            let end = end.unwrap_or_else(|| panic!("{number} is forgotten after the {start}"));
            assert_eq!(end.access_token, token(2 * number));
            assert_eq!(end.family, id(number));
            let is_settled = number != 7;
            assert_eq!(
                (end.is_answered, end.is_published),
                (is_settled, is_settled)
            );
        }
    }
    let kept = database.collection::<Document>("ended_tokens");
    assert_eq!(kept.count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn a_round_is_one_document_and_has_marks_while_there_is_something_to_do() {
    let settings = fresh_settings().await;
    let truth = open(&settings).await;
    let round = id(90);
    let of_other = end(&record(30, id(30)), noon());
    let mut ends = vec![of_other];
    for (index, number) in [0, 10, 20].into_iter().enumerate() {
        let own = end(&record(number, id(number)), noon());
        // Wherever they stand.
        ends.insert(2 * index % 3, EndedToken { round, ..own });
    }
    truth.tokens.remember_ends(&ends).await.unwrap();
    let ended = raw(&settings).await;
    let ended = ended.collection::<Document>("ended_tokens");
    assert_eq!(ended.count_documents(doc! {}).await.unwrap(), 2);
    let kept = async || {
        let round = ended.find_one(doc! { "_id": ObjectId::from_bytes(round.0) });
        round.await.unwrap().unwrap()
    };
    let marks = async || {
        let kept = kept().await;
        let present = MARKS.into_iter().filter(|mark| kept.contains_key(mark));
        present.collect::<Vec<_>>()
    };
    assert_eq!(kept().await.get_array("ends").unwrap().len(), 3);
    assert_eq!(marks().await, ["unanswered", "unpublished"]);
    for (numbers, left) in [
        (&[0, 10][..], &MARKS[..]),
        (&[404], &MARKS),
        (&[10, 20], &[]),
        (&[10, 20], &[]),
    ] {
        let tokens: Vec<TokenKey> = numbers.iter().copied().map(token).collect();
        let settled = SettledEnds {
            answered: tokens.clone(),
            published: tokens,
            remembered: None,
        };
        let rounds = SettledRounds::from([(round, settled)]);
        truth.tokens.settle_ends(&rounds).await.unwrap();
        assert_eq!(marks().await, left, "{numbers:?}");
    }
}

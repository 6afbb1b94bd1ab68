//! The memory of ends: remembering, finding, listing, and what became of them.

use time::{Duration, OffsetDateTime};
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::token::{EndedToken, RecordId};
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::stores::Truth;
use warp_sentinel::stores::ends::{Ends, SettledEnds, SettledRounds};

use super::super::fixtures::{end, id, noon, record, token};

pub(super) async fn the_first_memory_of_an_end_stays(truth: &Truth) {
    let now = Clock::default().now();
    let pairs = [record(0, id(1)), record(10, id(2)), record(20, id(3))];
    let later = Duration::seconds(1);
    let round = id(90);
    let together = |pair| EndedToken {
        round,
        ..end(pair, now + later)
    };
    let ends = [
        end(&pairs[0], now),
        together(&pairs[1]),
        together(&pairs[2]),
    ];
    truth.tokens.remember_ends(&ends).await.unwrap();
    let again = end(&pairs[0], now + Duration::hours(1));
    truth.tokens.remember_ends(&[again]).await.unwrap();
    // Ordered by expiry and name, page by page.
    let listed = list(truth, Ends::All, now, 2).await;
    let tokens: Vec<TokenKey> = listed.iter().map(|e| e.access_token.clone()).collect();
    assert_eq!(tokens, [token(0), token(10), token(20)]);
    let ended = listed.iter().map(|end| end.ended_at);
    assert_eq!(ended.collect::<Vec<_>>(), [now, now + later, now + later]);
    assert_eq!(list(truth, Ends::All, now, 1).await.len(), 3);
    let expired = noon() + Duration::hours(1);
    assert!(list(truth, Ends::All, expired, 9).await.is_empty());
    let asked = [token(11), token(10), token(1)];
    let found = truth.tokens.find_ends(&asked).await.unwrap();
    let found = found
        .into_iter()
        .map(|end| end.map(|end| (end.family, end.access_token)));
    let found: Vec<_> = found.collect();
    assert_eq!(
        found,
        [Some((id(10), token(10))), None, Some((id(0), token(0)))]
    );
}

/// All ends, by page.
async fn list(truth: &Truth, which: Ends, now: OffsetDateTime, limit: usize) -> Vec<EndedToken> {
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = truth.tokens.list_ends(which, now, after.as_ref(), limit);
        let page = page.await.unwrap();
        listed.extend(page.ends);
        after = page.next;
        if after.is_none() {
            return listed;
        }
    }
}

/// Four ends of one round, by their access tokens 0, 10, 20 and 30.
async fn remember_four(truth: &Truth, round: RecordId) -> [EndedToken; 4] {
    let now = Clock::default().now();
    let ends = [0, 10, 20, 30].map(|number| EndedToken {
        round,
        ..end(&record(number, id(number)), now)
    });
    truth.tokens.remember_ends(&ends).await.unwrap();
    ends
}

async fn settle(truth: &Truth, round: RecordId, numbers: [&[u32]; 2], remembered: Option<usize>) {
    let [answered, published] = numbers.map(|of| of.iter().copied().map(token).collect());
    let settled = SettledEnds {
        answered,
        published,
        remembered,
    };
    let rounds = SettledRounds::from([(round, settled)]);
    truth.tokens.settle_ends(&rounds).await.unwrap();
}

/// Which of the four are answered, and which are published, however they are asked for.
async fn marks(truth: &Truth) -> [[bool; 4]; 2] {
    let tokens = &truth.tokens;
    let found = tokens.find_ends(&[1, 11, 21, 31].map(token)).await.unwrap();
    let found: Vec<EndedToken> = found.into_iter().flatten().collect();
    let of = |mark: fn(&EndedToken) -> bool| -> [bool; 4] {
        let marks: Vec<bool> = found.iter().map(mark).collect();
        marks.try_into().unwrap()
    };
    let (answered, published) = (of(|end| end.is_answered), of(|end| end.is_published));
    let token = |end: EndedToken| end.access_token;
    let listed = list(truth, Ends::Unpublished, Clock::default().now(), 9).await;
    let listed: Vec<TokenKey> = listed.into_iter().map(token).collect();
    let families = [0, 10, 20, 30].map(id);
    let of_families = tokens.find_unpublished_ends(&families).await.unwrap();
    let of_families: Vec<TokenKey> = of_families.into_iter().map(token).collect();
    let left = found.iter().filter(|end| !end.is_published);
    let left: Vec<TokenKey> = left.cloned().map(token).collect();
    assert_eq!((&listed, &of_families), (&left, &left));
    [answered, published]
}

pub(super) async fn an_end_is_marked_until_it_is_settled(truth: &Truth) {
    let tokens = &truth.tokens;
    let round = id(90);
    let ends = remember_four(truth, round).await;
    let of_some = tokens.find_unpublished_ends(&[id(10)]).await.unwrap();
    assert_eq!(of_some.len(), 1);
    let (no, first) = ([false; 4], [true, false, false, false]);
    settle(truth, round, [&[], &[0]], None).await;
    assert_eq!(marks(truth).await, [no, first]);
    settle(truth, round, [&[0, 404], &[0, 10]], Some(4)).await;
    let half = [first, [true, true, false, false]];
    assert_eq!(marks(truth).await, half);
    // Remembered again, it stays settled.
    tokens.remember_ends(&ends).await.unwrap();
    assert_eq!(marks(truth).await, half);
    let all: &[u32] = &[0, 10, 20, 30];
    settle(truth, round, [all, all], Some(4)).await;
    assert_eq!(marks(truth).await, [[true; 4]; 2]);
    settle(truth, round, [all, all], None).await;
    assert_eq!(marks(truth).await, [[true; 4]; 2]);
}

pub(super) async fn what_two_rounds_want_is_settled_by_either(truth: &Truth) {
    let ends = remember_four(truth, id(90)).await;
    let again = EndedToken {
        round: id(91),
        ..ends[1].clone()
    };
    truth.tokens.remember_ends(&[again]).await.unwrap();
    settle(truth, id(91), [&[10], &[10]], Some(1)).await;
    let found = truth.tokens.find_ends(&[token(11), token(21)]).await;
    let found: Vec<EndedToken> = found.unwrap().into_iter().flatten().collect();
    assert_eq!(found.len(), 2);
    assert!(found[0].is_answered && !found[1].is_answered);
}

pub(super) async fn a_round_is_remembered_along_with_what_became_of_an_earlier_one(truth: &Truth) {
    let tokens = &truth.tokens;
    let now = Clock::default().now();
    let earlier = end(&record(0, id(1)), now);
    let next = [end(&record(10, id(2)), now)];
    let first = std::slice::from_ref(&earlier);
    tokens.remember_ends(first).await.unwrap();
    let settled = SettledEnds {
        answered: vec![token(0)],
        published: vec![token(0)],
        remembered: Some(1),
    };
    let rounds = SettledRounds::from([(earlier.round, settled)]);
    let both = tokens.remember_and_settle(&next, &rounds);
    both.await.unwrap();
    let found = tokens.find_ends(&[token(1), token(11)]).await.unwrap();
    let marks = found.iter().flatten();
    let marks: Vec<_> = marks.map(|e| (e.is_answered, e.is_published)).collect();
    assert_eq!(marks, [(true, true), (false, false)]);
}

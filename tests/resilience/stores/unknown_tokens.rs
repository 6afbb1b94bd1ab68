//! Tokens that nobody issued are never let in, whichever store is away: 401 where it can be told,
//! "not now" where it cannot.

use ::redis::AsyncCommands;
use futures_util::StreamExt;
use futures_util::stream;
use warp_sentinel::crypto::random;

use super::*;
use crate::figures::tell;
use crate::support::app::Tokens;
use crate::support::length::number;

/// Attempts under way at a time while the truth is away: each that could be a token waits for its
/// deadline then.
const AT_ONCE: usize = 128;
/// As many as the truth can be asked at a time without making a slow machine miss deadlines.
const AT_ONCE_IN_THE_TRUTH: usize = 8;
/// A key of another program, in the shape of a token, with a value as Flask-Sentinel writes it.
const FOREIGN: &str = "AnotherProgramsKeyOf30Letters0";

/// What is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Mongo,
    Redis,
    Both,
}

/// What was answered.
#[derive(Debug, Default)]
struct Count {
    refused: usize,
    not_now: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_unknown_token_is_let_in_while_mongodb_is_away() {
    attack(Away::Mongo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_unknown_token_is_let_in_while_redis_is_away() {
    attack(Away::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_unknown_token_is_let_in_while_both_stores_are_away() {
    attack(Away::Both).await;
}

async fn attack(away: Away) {
    let bench = bench().await;
    let known = bench.app.login().await;
    let mut raw = bench.raw_redis().await;
    let owner = "6b049213eb1acd78e9075d3b";
    let _: () = raw.set_ex(FOREIGN, owner, 3_600).await.unwrap();
    assert_eq!(bench.verify(&known.access).await, 204);
    if away != Away::Redis {
        bench.mongo.cut();
    }
    if away != Away::Mongo {
        bench.redis.cut();
    }
    let at_once = match away {
        Away::Redis => AT_ONCE_IN_THE_TRUTH,
        Away::Mongo | Away::Both => AT_ONCE,
    };
    let attempts = number("SENTINEL_TEST_UNKNOWN_TOKENS", 6_000) / 3;
    let began = Instant::now();
    let answered = stream::iter(0..attempts)
        .map(|attempt| attempted(&bench.app, forged(attempt, &known), away))
        .buffer_unordered(at_once);
    let count = answered.fold(Count::default(), |count, is_refused| async move {
        Count {
            refused: count.refused + usize::from(is_refused),
            not_now: count.not_now + usize::from(!is_refused),
        }
    });
    let count = count.await;
    tell(format_args!(
        "{away:?} away: 0 let in, {count:?}, {:?}",
        began.elapsed()
    ));
    // A busy machine may let a look-up in the truth miss its deadline.
    let is_told = away != Away::Redis || count.not_now * 4 <= attempts;
    assert!(is_told, "{count:?}");
    bench.mongo.open();
    bench.redis.open();
    bench.becomes("ready").await;
    assert_eq!(bench.verify(&known.access).await, 204);
    assert_eq!(bench.verify(FOREIGN).await, 401);
}

/// Whether it was refused for good; "not now" is right only where nobody can tell.
async fn attempted(app: &TestApp, forged: String, away: Away) -> bool {
    let answer = app.verify(&forged).await;
    let could_be_ours = forged.len() == 30 && forged.chars().all(|c| c.is_ascii_alphanumeric());
    let status = answer.status.as_u16();
    match status {
        401 => assert!(
            !could_be_ours || away == Away::Redis,
            "{forged} was decided"
        ),
        503 => {
            assert!(could_be_ours, "{forged} could have been refused");
            assert!(!answer.header("retry-after").is_empty());
        }
        _ => panic!("{forged} was answered with {status}"),
    }
    status == 401
}

/// A token that nobody issued.
fn forged(attempt: usize, known: &Tokens) -> String {
    let known = &known.access;
    match attempt % 8 {
        0 | 1 => random::token_value().expose().to_owned(),
        2 => known[..=(attempt / 8 % 28)].to_owned(),
        3 => format!("{known}{}", attempt / 8),
        4 => case_flipped(known, attempt / 8),
        5 => format!("sentinel:{{{known}}}"),
        6 => FOREIGN.to_owned(),
        _ => format!("{}.{}", &known[..20], attempt / 8),
    }
}

/// The same letters, some of them in the other case.
fn case_flipped(known: &str, choice: usize) -> String {
    let flip = |(index, letter): (usize, char)| {
        let is_flipped = (choice + 1) >> (index % 20) & 1 == 1;
        match letter {
            'a'..='z' if is_flipped => letter.to_ascii_uppercase(),
            'A'..='Z' if is_flipped => letter.to_ascii_lowercase(),
            _ => letter,
        }
    };
    let flipped: String = known.chars().enumerate().map(flip).collect();
    // Only digits where it should flip: then all are flipped.
    if flipped == known {
        return known.to_ascii_uppercase();
    }
    flipped
}

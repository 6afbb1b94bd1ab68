//! What one request asked and was told, and when: the entries of a history that is checked.

use std::time::Duration;

use reqwest::Error;

use crate::support::app::Answer;

/// A token pair as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The password grant.
    Login,
    /// The refresh grant with this token.
    Refresh(String),
    /// Whether this access token is good.
    Verify(String),
    /// That this token ends.
    Revoke(String),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// 200 with a pair.
    Pair(Pair),
    /// 204: it is good, or it is done.
    Yes,
    /// 401 or `invalid_grant`.
    No,
    /// 503, a deadline or a lost connection: done or not.
    Unknown,
    /// What no server should answer.
    Odd(String),
}

/// One request. Times count from the begin of the history.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// A user and a client.
    pub(crate) session: usize,
    /// Which server was asked.
    pub(crate) server: usize,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) asked: Asked,
    pub(crate) told: Told,
}

/// What an answer tells; nothing when the request was never sent.
pub(crate) fn told(asked: &Asked, answered: Result<Answer, Error>) -> Option<Told> {
    let answer = match answered {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return None,
        Err(_) => return Some(Told::Unknown),
    };
    let is_refused = answer.error() == "invalid_grant";
    Some(match (answer.status.as_u16(), asked) {
        (200, Asked::Login | Asked::Refresh(_)) => Told::Pair(pair(&answer)),
        (204, Asked::Verify(_) | Asked::Revoke(_)) => Told::Yes,
        (401, Asked::Verify(_)) => Told::No,
        (400, Asked::Login | Asked::Refresh(_)) if is_refused => Told::No,
        (503, _) => Told::Unknown,
        (status, _) => Told::Odd(format!("{status} {}", answer.body)),
    })
}

/// The pair of a successful answer.
#[track_caller]
pub(crate) fn pair(answer: &Answer) -> Pair {
    let tokens = answer.tokens();
    Pair {
        access: tokens.access,
        refresh: tokens.refresh,
    }
}

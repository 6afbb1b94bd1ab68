//! One user's session at the server, as far as this program knows it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::header::HeaderValue;
use serde::Deserialize;

use super::target::Target;

/// A lost session is made anew at most this often, lest repairs become the load.
const REPAIR_PAUSE: Duration = Duration::from_secs(1);

/// Who logs in.
#[derive(Clone)]
pub(crate) struct User {
    name: String,
    password: String,
}

/// A user, and the tokens that the last answer for it gave.
pub(crate) struct Session {
    /// The body of its login.
    pub(crate) login_form: Bytes,
    /// Who it is, for messages.
    pub(crate) username: String,
    pair: Mutex<Option<Arc<Pair>>>,
    repaired: Mutex<Option<Instant>>,
}

/// A pair of tokens, in the form in which requests carry them.
pub(crate) struct Pair {
    /// The access token as a field.
    pub(crate) authorization: HeaderValue,
    /// The refresh token as a body; empty when the server gave none.
    pub(crate) refresh_form: Bytes,
}

/// RFC 6749 §5.1, as far as it matters here.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
}

impl Session {
    /// A session that is not begun.
    pub(crate) fn new(user: User, target: &Target) -> Self {
        Self {
            login_form: target.login_form(&user.name, &user.password).into(),
            username: user.name,
            pair: Mutex::new(None),
            repaired: Mutex::new(None),
        }
    }

    /// The newest tokens.
    pub(crate) fn pair(&self) -> Option<Arc<Pair>> {
        let pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        pair.as_ref().map(Arc::clone)
    }

    /// Goes on with these tokens.
    pub(crate) fn replace(&self, pair: Pair) {
        let mut own = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Some(Arc::new(pair));
    }

    /// Whether the caller is to log in anew, since the server no longer knows the tokens.
    pub(crate) fn is_repair_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.repaired.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now - last >= REPAIR_PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

impl Pair {
    /// The pair of an answer, if it is one.
    pub(crate) fn parse(body: &[u8], target: &Target) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let mut authorization: HeaderValue =
            format!("Bearer {}", answer.access_token).parse().ok()?;
        authorization.set_sensitive(true);
        let form = answer
            .refresh_token
            .map(|token| target.refresh_form(&token));
        Some(Self {
            authorization,
            refresh_form: form.unwrap_or_default().into(),
        })
    }
}

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err("a user is NAME:PASSWORD".to_owned()),
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:***", self.name)
    }
}

//! The kinds of requests: all that one is, in one place.
//!
//! A further kind is a variant, a place in `ALL`, and an arm in each `match` here.

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::ask::Ask;
use super::session::Session;
use super::target::Target;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A resource, with a bearer token (RFC 6750 §2.1).
    Verify,
    /// A new pair for a refresh token (RFC 6749 §6).
    Refresh,
    /// A new pair for a password (RFC 6749 §4.3).
    Login,
}

/// What a request does to the session that it is sent for; sessions are dealt by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Nothing: many at a time may.
    Reads,
    /// Its tokens are used up: one at a time may.
    Rotates,
    /// It is ended, whatever its tokens were.
    Replaces,
}

/// What is to be in a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The status says it all.
    Any,
    /// A pair of tokens (RFC 6749 §5.1).
    Pair,
}

impl Kind {
    /// All of them, in the order of tables.
    pub(crate) const ALL: [Self; 3] = [Self::Verify, Self::Refresh, Self::Login];

    /// How it is called on the command line and in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Refresh => "refresh",
            Self::Login => "login",
        }
    }

    /// What it does to a session.
    pub(crate) const fn usage(self) -> Use {
        match self {
            Self::Verify => Use::Reads,
            Self::Refresh => Use::Rotates,
            Self::Login => Use::Replaces,
        }
    }

    /// The request of this kind for `session`, with its newest tokens.
    pub(crate) fn ask(self, target: &Target, session: &Session) -> Ask {
        let pair = session.pair();
        match self {
            Self::Verify => Ask {
                method: Method::GET,
                uri: target.verify_uri.clone(),
                authorization: pair.map(|pair| pair.authorization.clone()),
                form: None,
                wanted: target.verify_status,
                content: Content::Any,
            },
            Self::Refresh => {
                let form = pair.map(|pair| pair.refresh_form.clone());
                Self::grant(target, form.unwrap_or_default())
            }
            Self::Login => Self::grant(target, session.login_form.clone()),
        }
    }

    fn grant(target: &Target, form: Bytes) -> Ask {
        Ask {
            method: Method::POST,
            uri: target.token_uri.clone(),
            authorization: target.client.clone(),
            form: Some(form),
            wanted: StatusCode::OK,
            content: Content::Pair,
        }
    }
}

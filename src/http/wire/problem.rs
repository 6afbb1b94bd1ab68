//! Errors of the JSON API (RFC 9457).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A problem of type `about:blank`, which goes without saying (RFC 9457 §4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// What is wrong; never the client's input.
    pub detail: Cow<'static, str>,
}

//! One request, and what its answer is worth.

use std::fmt;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};

use super::kind::Content;
use super::target::Target;

/// A request that is to be sent.
pub(crate) struct Ask {
    /// Its method.
    pub(crate) method: Method,
    /// What it is for.
    pub(crate) uri: Uri,
    /// Who asks.
    pub(crate) authorization: Option<HeaderValue>,
    /// Its body.
    pub(crate) form: Option<Bytes>,
    /// The status of a good answer.
    pub(crate) wanted: StatusCode,
    /// What is in a good answer.
    pub(crate) content: Content,
}

/// Why a request had no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The server answered with this status.
    Status(u16),
    /// What it answered is not HTTP, or not what its status says.
    Malformed,
    /// It did not accept a connection.
    Connect,
    /// The connection broke under the request.
    Broken,
    /// It did not answer within the time that was set.
    Timeout,
    /// It had not answered at the end of the run.
    Unanswered,
    /// No connection or session was free until the end of the run.
    Unsent,
}

impl Ask {
    /// The request as it is sent to `target`.
    pub(crate) fn request(&self, target: &Target) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.form.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let fields = request.headers_mut();
        if let Some(host) = &target.host {
            fields.insert(HOST, host.clone());
        }
        if let Some(authorization) = &self.authorization {
            fields.insert(AUTHORIZATION, authorization.clone());
        }
        if self.form.is_some() {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            fields.insert(CONTENT_TYPE, form);
        }
        request
    }
}

impl Fault {
    /// Whether the server says that the token is none.
    pub(crate) fn is_of_token(self) -> bool {
        matches!(self, Self::Status(400 | 401))
    }

    /// Whether nobody answers for as long as the request has waited.
    pub(crate) fn is_silence(self) -> bool {
        matches!(self, Self::Timeout | Self::Unanswered | Self::Unsent)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Status(status) => return write!(formatter, "{status}"),
            Self::Malformed => "malformed",
            Self::Connect => "no connection",
            Self::Broken => "connection broke",
            Self::Timeout => "timeout",
            Self::Unanswered => "unanswered",
            Self::Unsent => "unsent",
        })
    }
}

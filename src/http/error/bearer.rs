//! Why a bearer token does not let in, and the challenge that says so (RFC 6750 §3).

use warp::http::StatusCode;
use warp::http::header::{HeaderValue, WWW_AUTHENTICATE};
use warp::reject::Reject;
use warp::reply::{Reply, Response};

use super::{ErrorCode, OAuthError, no_store};
use crate::actors::token_cache::CacheError;
use crate::telemetry::sparing::{Line, Sparing};

/// Why a protected resource was refused (RFC 6750 §3). `require_oauth` rejects with it, and the
/// server's own recovery turns it into the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BearerError {
    /// No bearer token was sent, so no error code is told.
    Missing,
    /// The `Authorization` header is malformed or was sent twice.
    InvalidRequest,
    /// The token is unknown, ended or expired.
    InvalidToken,
    /// The token does not allow this; it would take this scope. Empty where nobody can say which.
    InsufficientScope(String),
    /// Nobody who knows the token could be asked.
    Unavailable,
}

impl Reject for BearerError {}

impl From<CacheError> for BearerError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Overloaded => {}
            CacheError::Unavailable(ref cause) => {
                static FAILED: Sparing = Sparing::new();
                if let Some(Line { error, left_out }) = FAILED.line(cause.as_ref()) {
                    tracing::error!(error = %error, left_out, "a verification failed");
                }
            }
        }
        Self::Unavailable
    }
}

impl BearerError {
    /// The answer on a program's own route, where a malformed header is 400.
    pub fn into_response_for_route(self) -> Response {
        self.into_response_with(StatusCode::BAD_REQUEST)
    }

    /// The answer to a proxy, which takes only 401 and 403 for a no.
    pub fn into_response_for_proxy(self) -> Response {
        self.into_response_with(StatusCode::UNAUTHORIZED)
    }

    fn into_response_with(self, malformed: StatusCode) -> Response {
        let (status, code, description) = match &self {
            Self::Unavailable => return OAuthError::unavailable().into_response(),
            Self::Missing => (StatusCode::UNAUTHORIZED, None, "a bearer token is required"),
            Self::InvalidRequest => {
                let description = "the Authorization header is malformed";
                (malformed, Some(ErrorCode::InvalidRequest), description)
            }
            Self::InvalidToken => {
                let description = "the access token is unknown, expired or revoked";
                (
                    StatusCode::UNAUTHORIZED,
                    Some(ErrorCode::InvalidToken),
                    description,
                )
            }
            Self::InsufficientScope(_) => {
                let description = "the access token does not allow this";
                (
                    StatusCode::FORBIDDEN,
                    Some(ErrorCode::InsufficientScope),
                    description,
                )
            }
        };
        let mut challenge = String::from("Bearer realm=\"sentinel\"");
        if let Some(code) = code {
            challenge.push_str(", error=\"");
            challenge.push_str(code.as_str());
            challenge.push_str("\", error_description=\"");
            challenge.push_str(description);
            challenge.push('"');
        }
        // The attribute names one scope token at least (RFC 6750 §3).
        if let Self::InsufficientScope(scope) = &self
            && !scope.is_empty()
        {
            challenge.push_str(", scope=\"");
            challenge.push_str(scope);
            challenge.push('"');
        }
        let mut response = no_store(description.into_response());
        *response.status_mut() = status;
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

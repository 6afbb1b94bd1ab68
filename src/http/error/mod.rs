//! The one place that turns errors into answers: RFC 6749 §5.2 JSON here, RFC 6750 §3 challenges in
//! `bearer`, and the root `recover` in `recovery`.

pub mod bearer;
pub mod recovery;

use std::time::Duration;

use serde::Serialize;
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::actors::token_cache::CacheError;
use crate::actors::token_issuer::error::IssueError;
use crate::domain::error::GrantError;
use crate::telemetry::sparing::{Line, Sparing};
use bearer::BearerError;

/// Seconds after which a client may try again.
const RETRY_AFTER_SECS: HeaderValue = HeaderValue::from_static("1");

/// A registered error code (RFC 6749 §5.2, §4.1.2.1; RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The credentials or the refresh token are not good.
    InvalidGrant,
    /// The client may not use the grant type.
    UnauthorizedClient,
    /// No such grant type is served.
    UnsupportedGrantType,
    /// The scope is malformed or too wide.
    InvalidScope,
    /// The access token is unknown, ended or expired.
    InvalidToken,
    /// The access token does not allow this.
    InsufficientScope,
    /// A bug of ours.
    ServerError,
    /// A part of ours is not available now.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// An answer that says no: status, registered code, and one of our constant descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    status: StatusCode,
    code: ErrorCode,
    description: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
    closes: bool,
}

impl OAuthError {
    /// 400 `invalid_request`.
    pub fn invalid_request(description: &'static str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::InvalidRequest,
            description,
        )
    }

    /// 413: the body is over the limit. The connection is closed with it.
    pub fn too_large() -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        let description = "the request body is over 16384 bytes";
        Self {
            closes: true,
            ..Self::new(status, ErrorCode::InvalidRequest, description)
        }
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow() -> Self {
        let description = "the request body did not arrive in time";
        let error = Self::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::InvalidRequest,
            description,
        );
        Self {
            closes: true,
            ..error
        }
    }

    /// 415: the body is compressed.
    pub fn encoded_body() -> Self {
        let description = "a content encoding is not supported";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::InvalidRequest,
            description,
        )
    }

    /// 405 with the methods that are allowed.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let description = "the method is not allowed here";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let error = Self::new(status, ErrorCode::InvalidRequest, description);
        error.with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// 503 with `Retry-After`: a repeat may succeed.
    pub fn unavailable() -> Self {
        let description = "the server cannot do this now";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let error = Self::new(status, ErrorCode::TemporarilyUnavailable, description);
        error.with(RETRY_AFTER, RETRY_AFTER_SECS)
    }

    /// 429 with `Retry-After` (RFC 6585 §4): too many attempts have failed, so that this one was not
    /// looked at. It tells nothing of the user or the client.
    pub fn throttled(retry_after: Duration) -> Self {
        let description = "too many attempts have failed; try again later";
        let status = StatusCode::TOO_MANY_REQUESTS;
        let error = Self::new(status, ErrorCode::TemporarilyUnavailable, description);
        error.with(RETRY_AFTER, whole_seconds(retry_after))
    }

    /// 401 `invalid_client` (RFC 6749 §5.2).
    pub fn invalid_client() -> Self {
        GrantError::InvalidClient.into()
    }

    fn new(status: StatusCode, code: ErrorCode, description: &'static str) -> Self {
        Self {
            status,
            code,
            description,
            header: None,
            closes: false,
        }
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    /// The registered code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The description.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let (code, description) = match error {
            GrantError::InvalidRequest(description) => (ErrorCode::InvalidRequest, description),
            GrantError::InvalidClient => (ErrorCode::InvalidClient, "client authentication failed"),
            GrantError::InvalidGrant => (
                ErrorCode::InvalidGrant,
                "the credentials or the refresh token are invalid, expired or revoked",
            ),
            GrantError::UnauthorizedClient => (
                ErrorCode::UnauthorizedClient,
                "the client may not use this grant type",
            ),
            GrantError::ForeignToken => (
                ErrorCode::UnauthorizedClient,
                "the token was issued to another client",
            ),
            GrantError::UnsupportedGrantType => (
                ErrorCode::UnsupportedGrantType,
                "the grant type is not supported",
            ),
            GrantError::InvalidScope => (
                ErrorCode::InvalidScope,
                "the scope is malformed or wider than allowed",
            ),
        };
        if error == GrantError::InvalidClient {
            // Sent whether or not the client used `Authorization`, so that an unknown client and
            // a wrong secret cannot be told apart.
            let challenge = HeaderValue::from_static("Basic realm=\"token\", charset=\"UTF-8\"");
            let refused = Self::new(StatusCode::UNAUTHORIZED, code, description);
            return refused.with(WWW_AUTHENTICATE, challenge);
        }
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }
}

impl From<CacheError> for OAuthError {
    fn from(error: CacheError) -> Self {
        // It is told in the log there.
        let _unavailable = BearerError::from(error);
        Self::unavailable()
    }
}

impl From<IssueError> for OAuthError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Rejected(error) => error.into(),
            IssueError::Throttled(throttled) => Self::throttled(throttled.retry_after),
            IssueError::Overloaded => Self::unavailable(),
            IssueError::Unavailable(ref cause) => {
                static FAILED: Sparing = Sparing::new();
                if let Some(Line { error, left_out }) = FAILED.line(cause.as_ref()) {
                    tracing::error!(error = %error, left_out, "a token request failed");
                }
                Self::unavailable()
            }
        }
    }
}

#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    error_description: &'static str,
}

impl Reply for OAuthError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: self.code.as_str(),
            error_description: self.description,
        };
        let mut response = no_store(warp::reply::json(&body).into_response());
        *response.status_mut() = self.status;
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        if self.closes {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The value of `Retry-After` for a wait that is not shorter.
pub fn whole_seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

/// Adds what every answer about tokens carries (RFC 6749 §5.1).
pub fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether `method` is one of those an endpoint allows.
///
/// # Errors
/// 405 with `Allow`.
pub fn allow(method: &Method, allowed: &'static str) -> Result<(), OAuthError> {
    if allowed.split(", ").any(|name| name == method.as_str()) {
        Ok(())
    } else {
        Err(OAuthError::method_not_allowed(allowed))
    }
}

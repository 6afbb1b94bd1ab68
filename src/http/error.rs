//! The one place that turns errors into answers: RFC 6749 §5.2 JSON, RFC 6750 §3 challenges, and
//! the root `recover`.

use std::convert::Infallible;

use serde::Serialize;
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{Method, StatusCode};
use warp::reject::{Reject, Rejection};
use warp::reply::{Reply, Response};

use crate::actors::token_cache::CacheError;
use crate::actors::token_issuer::error::IssueError;
use crate::domain::error::GrantError;
use crate::telemetry::chain::Chain;

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

impl From<IssueError> for OAuthError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Rejected(error) => error.into(),
            IssueError::Overloaded => Self::unavailable(),
            IssueError::Unavailable(ref cause) => {
                tracing::error!(error = %Chain(cause.as_ref()), "a token request failed");
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

/// Adds what every answer about tokens carries (RFC 6749 §5.1).
pub fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

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
                tracing::error!(error = %Chain(cause.as_ref()), "a verification failed");
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

/// Answers every rejection that is left: a refused bearer, an unknown route, a wrong method. It
/// shows nothing of the rejection itself.
///
/// # Errors
/// None: the signature is `recover`'s.
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    if let Some(error) = rejection.find::<BearerError>() {
        return Ok(error.clone().into_response_for_route());
    }
    let status = if rejection.is_not_found() {
        StatusCode::NOT_FOUND
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        StatusCode::METHOD_NOT_ALLOWED
    } else if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
        StatusCode::PAYLOAD_TOO_LARGE
    } else if rejection
        .find::<warp::reject::UnsupportedMediaType>()
        .is_some()
    {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else if rejection.find::<warp::reject::LengthRequired>().is_some() {
        StatusCode::LENGTH_REQUIRED
    } else if is_bad_request(&rejection) {
        StatusCode::BAD_REQUEST
    } else {
        tracing::error!("a rejection was not handled by its route");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    Ok(plain(status))
}

fn is_bad_request(rejection: &Rejection) -> bool {
    rejection.find::<warp::reject::InvalidHeader>().is_some()
        || rejection.find::<warp::reject::MissingHeader>().is_some()
        || rejection.find::<warp::reject::InvalidQuery>().is_some()
        || rejection
            .find::<warp::filters::body::BodyDeserializeError>()
            .is_some()
}

fn plain(status: StatusCode) -> Response {
    let text = format!("{}\n", status.canonical_reason().unwrap_or("error"));
    let mut response = warp::reply::with_status(text, status).into_response();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
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

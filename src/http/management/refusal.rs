//! The one place that turns what the console and its API refuse into an answer: a page, or a
//! problem (RFC 9457).

use std::time::Duration;

use warp::http::StatusCode;
use warp::http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use warp::reply::{Reply, Response};

use crate::actors::management::error::ManagementError;
use crate::domain::error::RecordError;
use crate::http::error::{OAuthError, no_store, whole_seconds};
use crate::http::pages::Pages;
use crate::http::pages::view::ProblemPage;
use crate::http::wire::problem::Problem;
use crate::telemetry::sparing::{Line, Sparing};

/// An answer that says no. Its text is one of our constants, never the client's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// 403: plain HTTP that no trusted proxy passed on. There is no redirect: the credentials
    /// have been sent in the clear already, and a redirect would hide that.
    pub(super) fn insecure() -> Self {
        let detail = "The console is reached over HTTPS only. Behind a proxy that ends TLS, name \
                      the proxy in SENTINEL_TRUSTED_PROXIES.";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 421: the host is not one of ours (RFC 9110 §15.5.20).
    pub(super) fn misdirected() -> Self {
        let detail = "The console does not answer under this host name. Name the one that it is \
                      reached by in SENTINEL_ISSUER.";
        Self::new(StatusCode::MISDIRECTED_REQUEST, detail)
    }

    /// 403: nobody may use the console.
    pub(super) fn not_configured() -> Self {
        let detail = "The console is closed: it has no credentials. Set \
                      SENTINEL_MANAGEMENT_USERNAME and SENTINEL_MANAGEMENT_PASSWORD, then start \
                      the server again.";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 401, the same for missing, unreadable and wrong credentials.
    pub(super) fn unauthenticated() -> Self {
        let challenge = "Basic realm=\"sentinel console\", charset=\"UTF-8\"";
        let detail = "The console asks for its user name and password.";
        let refusal = Self::new(StatusCode::UNAUTHORIZED, detail);
        refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 403: a page of another site asked for a change.
    pub(super) fn foreign_origin() -> Self {
        let detail = "The request comes from a page of another site. Nothing was changed.";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 403: the form's token is missing, old, or another user's.
    pub(super) fn form_token() -> Self {
        let detail = "The form is too old or was not made for you. Nothing was changed. Open the \
                      console again and repeat.";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing here.")
    }

    /// 405 with the methods that are allowed.
    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = "The method is not allowed here.";
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        refusal.with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// 415: the body is no JSON.
    pub(super) fn not_json() -> Self {
        let detail = "The body must be application/json in UTF-8.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 400: the request breaks a rule, which `detail` tells.
    pub(super) fn invalid(detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 503 with `Retry-After`: a repeat is safe and may succeed.
    pub(super) fn unavailable() -> Self {
        let detail = "Users, clients and tokens cannot be read or written now. To repeat is safe.";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 429 with `Retry-After`: too many logins from the same network have failed (RFC 6585 §4).
    pub(super) fn throttled(retry_after: Duration) -> Self {
        let detail = "Too many logins from your network have failed. Try again later.";
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, detail);
        refusal.with(RETRY_AFTER, whole_seconds(retry_after))
    }

    fn new(status: StatusCode, detail: &'static str) -> Self {
        Self {
            status,
            detail,
            header: None,
        }
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    /// Whether it is about what a form or a body says, so that the console shows it above the
    /// form again.
    pub(super) fn is_about_record(&self) -> bool {
        matches!(self.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT)
    }

    /// The status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, for people.
    pub(super) fn detail(&self) -> &'static str {
        self.detail
    }

    /// The answer of the console.
    pub(super) fn into_page(self, pages: &Pages) -> Response {
        let page = ProblemPage {
            status: self.status.as_u16(),
            title: self.title(),
            detail: self.detail,
        };
        let response = pages.render("problem", &page);
        self.apply(response)
    }

    /// The answer of the API.
    pub(super) fn into_problem(self) -> Response {
        let problem = Problem {
            status: self.status.as_u16(),
            title: self.title().into(),
            detail: self.detail.into(),
        };
        let mut response = no_store(warp::reply::json(&problem).into_response());
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        self.apply(response)
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or_default()
    }

    fn apply(self, mut response: Response) -> Response {
        // A page that could not be filled stays a 500.
        if response.status() == StatusCode::OK {
            *response.status_mut() = self.status;
        }
        let headers = response.headers_mut();
        headers.extend(self.header);
        // The rest of the body was not read.
        if matches!(
            self.status,
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
        ) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<ManagementError> for Refusal {
    fn from(error: ManagementError) -> Self {
        match error {
            ManagementError::Record(error) => error.into(),
            ManagementError::Taken => {
                let detail =
                    "Another record has this name. Nothing was changed: choose another name.";
                Self::new(StatusCode::CONFLICT, detail)
            }
            ManagementError::Throttled(throttled) => Self::throttled(throttled.retry_after),
            ManagementError::NotFound => {
                let detail = "There is no such user or client.";
                Self::new(StatusCode::NOT_FOUND, detail)
            }
            ManagementError::Overloaded => Self::unavailable(),
            ManagementError::Unavailable(ref cause) => {
                static FAILED: Sparing = Sparing::new();
                if let Some(Line { error, left_out }) = FAILED.line(cause.as_ref()) {
                    tracing::error!(error = %error, left_out, "a management request failed");
                }
                Self::unavailable()
            }
        }
    }
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        let status = match error {
            RecordError::PublicSecret | RecordError::LastSecret => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        };
        let detail = match error {
            RecordError::Username => "A username has 1 to 256 bytes and no control characters.",
            RecordError::PasswordTooShort => {
                "The password has fewer characters than SENTINEL_PASSWORD_MIN_LENGTH asks for."
            }
            RecordError::PasswordTooLong => "A password has at most 71 bytes and no NUL.",
            RecordError::PasswordIsUsername => "The password must not be the username.",
            RecordError::PasswordCommon => {
                "The password is one of the most common ones, which guessers try first."
            }
            RecordError::ClientName => {
                "A client name has at most 256 bytes and no control characters."
            }
            RecordError::Scope => {
                "A scope is empty or has a character that RFC 6749 does not allow."
            }
            RecordError::ScopeTooLong => {
                "Scopes have at most 1000 characters in all, the spaces between them included."
            }
            RecordError::DefaultScope => "A default scope is not among the client's scopes.",
            RecordError::PublicSecret => "A public client has no secret.",
            RecordError::LastSecret => "It is the only secret of its client: rotate it first.",
            RecordError::GrantType => "A grant type is not supported for this type of client.",
            RecordError::Lifetime => "A lifetime is at least 1 second and at most 100 years.",
            RecordError::Introspection => {
                "A public client cannot introspect the tokens of other clients."
            }
        };
        Self::new(status, detail)
    }
}

/// What went wrong with reading a body or a form.
impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::new(error.status(), error.description())
    }
}

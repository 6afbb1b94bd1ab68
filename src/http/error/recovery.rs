//! Answers what no route took.

use std::convert::Infallible;

use warp::http::StatusCode;
use warp::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use warp::reject::Rejection;
use warp::reply::{Reply, Response};

use super::bearer::BearerError;

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

/// A method that an address does not know, and those that it does.
pub fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    response
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

//! Answers what no route took.

use std::convert::Infallible;

use warp::ext::MissingExtension;
use warp::filters::body::BodyDeserializeError;
use warp::filters::cors::CorsForbidden;
use warp::http::StatusCode;
use warp::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use warp::reject::{
    InvalidHeader, InvalidQuery, LengthRequired, MethodNotAllowed, MissingCookie, MissingHeader,
    PayloadTooLarge, Rejection, UnsupportedMediaType,
};
use warp::reply::{Reply, Response};

use super::bearer::BearerError;

/// Answers every rejection that is left: a refused bearer, an unknown route, a wrong method. It
/// shows nothing of the rejection itself.
///
/// Where several routes rejected, what one found wrong with the request comes before a wrong method,
/// and that before an unknown address.
///
/// # Errors
/// None: the signature is `recover`'s.
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    if let Some(error) = rejection.find::<BearerError>() {
        return Ok(error.clone().into_response_for_route());
    }
    if rejection.is_not_found() {
        return Ok(plain(StatusCode::NOT_FOUND));
    }
    let known = STATUSES.iter().find(|(_, is_in)| is_in(&rejection));
    let status = match known {
        Some((status, _)) if *status != StatusCode::METHOD_NOT_ALLOWED => *status,
        // The client sent no whole body. Its type is warp's own, so it can only be told by its name.
        _ if format!("{rejection:?}").contains("BodyReadError(") => StatusCode::BAD_REQUEST,
        Some((status, _)) => *status,
        None => {
            tracing::error!("a rejection was not handled by its route");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Ok(plain(status))
}

/// Whether a rejection has one of some kind in it.
type IsIn = fn(&Rejection) -> bool;

/// What warp's own filters reject with, in the order in which it counts.
const STATUSES: [(StatusCode, IsIn); 11] = [
    (StatusCode::INTERNAL_SERVER_ERROR, is::<MissingExtension>),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        is::<UnsupportedMediaType>,
    ),
    (StatusCode::PAYLOAD_TOO_LARGE, is::<PayloadTooLarge>),
    (StatusCode::LENGTH_REQUIRED, is::<LengthRequired>),
    (StatusCode::FORBIDDEN, is::<CorsForbidden>),
    (StatusCode::BAD_REQUEST, is::<InvalidHeader>),
    (StatusCode::BAD_REQUEST, is::<MissingHeader>),
    (StatusCode::BAD_REQUEST, is::<MissingCookie>),
    (StatusCode::BAD_REQUEST, is::<InvalidQuery>),
    (StatusCode::BAD_REQUEST, is::<BodyDeserializeError>),
    (StatusCode::METHOD_NOT_ALLOWED, is::<MethodNotAllowed>),
];

fn is<R: std::error::Error + Send + Sync + 'static>(rejection: &Rejection) -> bool {
    rejection.find::<R>().is_some()
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

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use warp::Filter;

    use super::*;

    // Two routes of one address, of which the second reads a body.
    async fn status_of(request: warp::test::RequestBuilder) -> u16 {
        let listed = warp::path!("things").and(warp::get()).map(|| "listed");
        let added = warp::path!("things")
            .and(warp::post())
            .and(warp::cookie::<String>("session"))
            .and(warp::body::content_length_limit(9))
            .and(warp::body::json())
            .map(|_session, _body: Value| "added");
        let routes = listed.or(added).unify().map(Reply::into_response);
        let routes = routes.recover(recover).unify();
        request.reply(&routes).await.status().as_u16()
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_request_comes_before_the_method_of_another_route() {
        let request = |method: &str, path: &str| warp::test::request().method(method).path(path);
        let post = || request("POST", "/things").header("cookie", "session=1");
        let json = |text: &str| post().header("content-type", "application/json").body(text);
        for (expected, request) in [
            (200, json("{}")),
            (400, json("{")),
            (400, request("POST", "/things")),
            (405, request("PUT", "/things")),
            (404, request("GET", "/other")),
            (413, json("[1, 2, 3, 4, 5]")),
            (415, post().header("content-type", "text/html").body("{}")),
        ] {
            let shown = format!("{request:?}");
            assert_eq!(status_of(request).await, expected, "{shown}");
        }
    }

    #[tokio::test]
    async fn what_another_origin_may_not_do_is_forbidden() {
        let cors = warp::cors().allow_origin("https://app.example");
        let route = warp::any().map(warp::reply).with(cors);
        let request = warp::test::request().header("origin", "https://other.example");
        let answered = request.reply(&route.recover(recover)).await;
        assert_eq!(answered.status(), StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn what_a_program_left_unanswered_is_its_fault() {
        #[derive(Debug)]
        struct Own;
        impl warp::reject::Reject for Own {}
        let route = warp::any().and_then(async || Err::<String, _>(warp::reject::custom(Own)));
        let answered = warp::test::request().reply(&route.recover(recover)).await;
        assert_eq!(answered.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answered.body(), "Internal Server Error\n");
    }
}

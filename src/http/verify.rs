//! `GET /verify`: verification for a proxy in front of other programs (NGINX `auth_request`,
//! Traefik, Envoy). 204 with who it is, else 401 or 403 (RFC 6750 §3), or 503.
//!
//! Any method is answered, since some proxies ask with that of the request they guard.

use bytes::Bytes;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response};

use super::error::bearer::BearerError;
use super::exact_path;
use super::extract::form::Form;
use super::protect;
use crate::actors::token_cache::TokenCache;
use crate::actors::token_cache::live_token::LiveToken;
use crate::domain::scope::Scope;

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const USERNAME: HeaderName = HeaderName::from_static("x-username");
const CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
const SCOPE: HeaderName = HeaderName::from_static("x-scope");
/// How many there are, with `Cache-Control`.
const HEADERS: usize = 5;

pub(super) fn verify(path: &str, caches: TokenCache) -> BoxedFilter<(Response,)> {
    exact_path(path)
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .then(move |query: String, headers: HeaderMap| {
            let caches = caches.clone();
            async move {
                match answer(&caches, &query, &headers).await {
                    Ok(response) => response,
                    Err(error) => error.into_response_for_proxy(),
                }
            }
        })
        .boxed()
}

async fn answer(
    caches: &TokenCache,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, BearerError> {
    // The token comes first: who has none is told so, whatever the query holds.
    let scope = read_scope(query);
    let least = scope.clone().unwrap_or_default();
    let live = protect::verify(caches, headers, &least).await?;
    scope.map(|_granted| describe(&live))
}

// A scope that cannot be read is one that no token has.
fn read_scope(query: &str) -> Result<Scope, BearerError> {
    if query.is_empty() {
        return Ok(Scope::default());
    }
    let unreadable = || BearerError::InsufficientScope(String::new());
    let query = Form::parse_pairs(query.as_bytes()).map_err(|_| unreadable())?;
    Scope::parse(query.get("scope").unwrap_or_default()).map_err(|_| unreadable())
}

// The texts are slices of the cached token's own: nothing is formatted or copied for a request.
fn describe(live: &LiveToken) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    let mut set = |name: HeaderName, text: Bytes| {
        // What no header can hold is left out: an old client's identifier may be any text.
        if let Ok(value) = HeaderValue::from_maybe_shared(text)
            && value.to_str().is_ok()
        {
            headers.insert(name, value);
        }
    };
    if let (Some(id), Some(username)) = (live.user_id(), live.username()) {
        set(USER_ID, id);
        set(USERNAME, username);
    }
    set(CLIENT_ID, live.client_id());
    set(SCOPE, live.scope());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

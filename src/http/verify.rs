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
    let demand = read_demand(query);
    let least = demand
        .as_ref()
        .map_or_else(|_| Scope::default(), |own| own.scope.clone());
    let live = protect::verify(caches, headers, &least).await?;
    if demand?.is_user && live.user_id().is_none() {
        return Err(unreadable());
    }
    Ok(describe(&live))
}

/// What a token must have.
#[derive(Default)]
struct Demand {
    scope: Scope,
    /// It must be a user's.
    is_user: bool,
}

// What cannot be read is what no token has.
fn read_demand(query: &str) -> Result<Demand, BearerError> {
    if query.is_empty() {
        return Ok(Demand::default());
    }
    let query = Form::parse_pairs(query.as_bytes()).map_err(|_| unreadable())?;
    let scope = Scope::parse(query.get("scope").unwrap_or_default()).map_err(|_| unreadable())?;
    let is_user = match query.get("user") {
        None => false,
        Some("required") => true,
        Some(_) => return Err(unreadable()),
    };
    Ok(Demand { scope, is_user })
}

fn unreadable() -> BearerError {
    BearerError::InsufficientScope(String::new())
}

// The texts are slices of the cached token's own: nothing is formatted or copied for a request.
fn describe(live: &LiveToken) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    let mut set = |name: HeaderName, text: Bytes| {
        // What no header can hold is left out: a scope of an earlier program may be any text.
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

//! `GET /verify`: verification for a proxy in front of other programs (NGINX `auth_request`,
//! Traefik, Envoy). 204 with who it is, else 401 or 403 (RFC 6750 §3), or 503.
//!
//! Any method is answered, since some proxies ask with that of the request they guard.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
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
use crate::domain::scope::Scope;
use crate::domain::token::Grant;

/// What is encoded in a user name, so that any name makes a header and none makes two.
const HEADER_UNSAFE: &AsciiSet = &CONTROLS.add(b'%');

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
    let grant = protect::verify(caches, headers, &least).await?;
    scope.map(|_granted| describe(&grant))
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

fn describe(grant: &Grant) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(user) = &grant.user {
        set("x-user-id", &user.id.to_string());
        let username = utf8_percent_encode(&user.username, HEADER_UNSAFE);
        set("x-username", &Cow::from(username));
    }
    set("x-client-id", grant.client_id.as_str());
    set("x-scope", &grant.scope.to_string());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

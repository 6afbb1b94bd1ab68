//! `require_oauth` and its like guard other programs' routes (RFC 6750).
//!
//! Unlike our own endpoints these reject, so that a program's other routes are tried.
//! `Sentinel::serve` answers the rejection; who composes by hand adds [`super::error::recovery::recover`].

use std::sync::Arc;

use warp::filters::BoxedFilter;
use warp::http::HeaderMap;
use warp::{Filter, Rejection};

use super::error::bearer::BearerError;
use super::extract::bearer;
use crate::actors::token_cache::TokenCache;
use crate::actors::token_cache::live_token::LiveToken;
use crate::domain::scope::Scope;
use crate::domain::token::Grant;

/// A filter that extracts the grant of a live access token with at least `scope`; of a user's only,
/// where `needs_user`.
pub fn require(caches: TokenCache, scope: Scope, needs_user: bool) -> BoxedFilter<(Grant,)> {
    let scope = Arc::new(scope);
    warp::header::headers_cloned()
        .and_then(move |headers: HeaderMap| {
            let (caches, scope) = (caches.clone(), Arc::clone(&scope));
            async move {
                let live = verify(&caches, &headers, &scope).await?;
                let grant = live.grant();
                if needs_user && grant.user.is_none() {
                    // No scope would help: a client never becomes a user.
                    return Err(BearerError::InsufficientScope(String::new()).into());
                }
                Ok::<_, Rejection>(grant)
            }
        })
        .boxed()
}

/// What a request's bearer token stands for.
///
/// # Errors
/// [`BearerError`], each.
pub(super) async fn verify(
    caches: &TokenCache,
    headers: &HeaderMap,
    scope: &Scope,
) -> Result<LiveToken, BearerError> {
    let token = bearer::read(headers)?;
    let live = caches
        .verify(&token)
        .await?
        .ok_or(BearerError::InvalidToken)?;
    if !live.allows(scope) {
        return Err(BearerError::InsufficientScope(scope.to_string()));
    }
    Ok(live)
}

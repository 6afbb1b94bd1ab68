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

/// Which live access tokens a route lets in.
#[derive(Clone, Debug)]
pub enum Needed {
    /// Those that allow at least this.
    Scope(Scope),
    /// Those of users: a client never becomes one, whatever its scope.
    User,
    /// None: what the program asks for is no scope, so no token has it.
    Nothing,
}

impl Needed {
    /// All of `scopes`, each written as a `scope` parameter (RFC 6749 §3.3): one scope token, or
    /// several with single spaces between them. What is not so written lets nobody in, rather than
    /// everybody.
    pub fn scopes(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        let has_empty = scopes.iter().any(String::is_empty);
        match Scope::parse(&scopes.join(" ")) {
            Ok(scope) if !has_empty => Self::Scope(scope),
            _ => {
                tracing::error!(
                    ?scopes,
                    "a route asks for what is no scope: it lets nobody in"
                );
                Self::Nothing
            }
        }
    }
}

/// A filter that extracts the grant of a live access token that has what is `needed`.
pub fn require(caches: TokenCache, needed: Needed) -> BoxedFilter<(Grant,)> {
    let needed = Arc::new(needed);
    warp::header::headers_cloned()
        .and_then(move |headers: HeaderMap| {
            let (caches, needed) = (caches.clone(), Arc::clone(&needed));
            async move {
                let none = Scope::default();
                let scope = match &*needed {
                    Needed::Scope(scope) => scope,
                    Needed::User | Needed::Nothing => &none,
                };
                let grant = verify(&caches, &headers, scope).await?.grant();
                let is_enough = match &*needed {
                    Needed::Scope(_) => true,
                    Needed::User => grant.user.is_some(),
                    Needed::Nothing => false,
                };
                if is_enough {
                    Ok::<_, Rejection>(grant)
                } else {
                    // No scope would help.
                    Err(BearerError::InsufficientScope(String::new()).into())
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_in_a_request() {
        let needed = |scopes: &[&str]| match Needed::scopes(scopes.iter().copied()) {
            Needed::Scope(scope) => Some(scope.to_string()),
            Needed::User | Needed::Nothing => None,
        };
        assert_eq!(needed(&[]).as_deref(), Some(""));
        assert_eq!(needed(&["write", "read"]).as_deref(), Some("read write"));
        assert_eq!(needed(&["write read"]).as_deref(), Some("read write"));
        for wrong in [
            &[""][..],
            &["read", ""],
            &["read  write"],
            &[" read"],
            &["\"read\""],
            &["lire\u{e9}"],
        ] {
            assert_eq!(needed(wrong), None, "{wrong:?}");
        }
    }
}

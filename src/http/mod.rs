//! The HTTP surface: one file per endpoint, warp filters over typed handles.
//!
//! What does not live here: stores, sockets and TLS, rules of OAuth.

pub mod error;
pub mod extract;
pub mod health;
pub mod management;
pub mod pages;
pub mod protect;
pub mod wire;

mod error_page;
mod introspect;
mod metadata;
mod revoke;
mod token;
mod verify;

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::ready;
use ipnet::IpNet;
use warp::filters::BoxedFilter;
use warp::filters::path::Peek;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply, reject};

use crate::actors::management::Management;
use crate::actors::token_cache::TokenCache;
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::user_registry::UserRegistry;
use crate::telemetry;
use error::recovery::method_not_allowed;
use health::Leaving;
use introspect::Introspector;
use pages::Pages;

/// The handles that the endpoints need.
#[derive(Clone)]
pub struct Handles {
    /// Issues and revokes tokens.
    pub issuer: TokenIssuer,
    /// Verifies access tokens.
    pub caches: TokenCache,
    /// Asked whether the truth can be reached.
    pub registry: UserRegistry,
    /// What the console does.
    pub management: Management,
    /// The pages people see.
    pub pages: Pages,
    /// Whether this server is about to stop.
    pub leaving: Leaving,
}

/// Where the endpoints are.
#[derive(Clone, Debug)]
pub struct Surface {
    /// Path of the token endpoint; `None` turns it off.
    pub token_path: Option<String>,
    /// Path of the console; `None` turns it and its API off.
    pub management_path: Option<String>,
    /// Path of the verification endpoint.
    pub verify_path: String,
    /// Path of the introspection endpoint.
    pub introspection_path: String,
    /// Path of the revocation endpoint.
    pub revocation_path: String,
    /// The issuer identifier (RFC 8414 §2); `None` while nobody knows how clients call the server.
    pub issuer: Option<String>,
    /// Path of the error page; `None` when it is on another host.
    pub error_path: Option<String>,
    /// `host[:port]` under which the console may be called; empty is any.
    pub hosts: Arc<[String]>,
    /// Peers whose forwarded headers are believed.
    pub trusted_proxies: Arc<[IpNet]>,
}

/// Every endpoint of ours. A path that is not ours is rejected, so that other routes may follow; one that
/// is, is ours with every method.
pub fn routes(handles: &Handles, surface: &Surface) -> BoxedFilter<(Response,)> {
    let mut others = health::health(handles);
    if let Some(path) = &surface.error_path {
        let error_page = error_page::error_page(path, handles.pages.clone());
        others = others.or(error_page).unify().boxed();
    }
    if let Some(path) = &surface.management_path {
        let console = management::console(path, handles, surface);
        others = others.or(console).unify().boxed();
    }
    if let Some(metadata) = metadata::metadata(surface) {
        others = others.or(metadata).unify().boxed();
    }
    let revoke = revoke::revoke(
        &surface.revocation_path,
        handles.issuer.clone(),
        &surface.trusted_proxies,
    );
    others = revoke.or(others).unify().boxed();
    let introspector = Introspector {
        issuer: handles.issuer.clone(),
        caches: handles.caches.clone(),
        issued_by: surface.issuer.as_deref().map(Arc::from),
    };
    let introspect = introspect::introspect(
        &surface.introspection_path,
        introspector,
        &surface.trusted_proxies,
    );
    others = introspect.or(others).unify().boxed();
    if let Some(path) = &surface.token_path {
        let token = token::token(path, handles.issuer.clone(), &surface.trusted_proxies);
        others = token.or(others).unify().boxed();
    }
    // It is asked most by far: the first to be tried, and behind no box of the others.
    let verify = verify::verify(&surface.verify_path, handles.caches.clone());
    verify.or(others).unify().boxed()
}

/// The methods of what is only read.
const READ: &str = "GET, HEAD";

/// Health and metrics, for a listener of their own.
pub fn operations(handles: &Handles) -> BoxedFilter<(Response,)> {
    let health = health::health(handles);
    let metrics = warp::any().map(|| telemetry::metrics::render().into_response());
    let metrics = only_read(&warp::path!("metrics").boxed(), metrics);
    health.or(metrics).unify().boxed()
}

/// `GET` and `HEAD` of a path: the server sends the head alone of what answers the latter (RFC 9110
/// §9.3.2). Another method is 405 with `Allow` (§15.5.6).
fn only_read(
    path: &BoxedFilter<()>,
    answer: impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
) -> BoxedFilter<(Response,)> {
    let is_read = warp::get().or(warp::head()).unify();
    let read = path.clone().and(is_read).and(answer);
    let refused = path.clone().map(|| method_not_allowed(READ));
    read.or(refused).unify().boxed()
}

/// Matches a whole path such as `/oauth/token`. With a closing slash it is another path: a proxy
/// that guards the one would miss the other.
fn exact_path(path: &str) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    let path: Arc<str> = path.trim_matches('/').into();
    warp::path::peek()
        .and_then(move |rest: Peek| {
            let is_match = rest.as_str() == &*path;
            ready(if is_match {
                Ok(())
            } else {
                Err(reject::not_found())
            })
        })
        .untuple_one()
}

/// Matches a path such as `/oauth/management` and what is below it.
fn path_prefix(path: &str) -> BoxedFilter<()> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let start = warp::any().boxed();
    segments.fold(start, |before, segment| {
        before.and(warp::path(segment.to_owned())).boxed()
    })
}

/// Turns what a handler returns into a response.
fn respond(reply: impl Reply) -> Response {
    reply.into_response()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Empty;
    use tower_service::Service;
    use warp::http::{Request, StatusCode};

    use super::*;

    #[tokio::test]
    async fn a_whole_path_matches_below_any_prefix_and_nothing_else_does() {
        let own = exact_path("/oauth/token").map(|| "ours");
        let below = warp::path("api").and(own.clone());
        let mut service = warp::service(own.or(below));
        let rows = [
            ("/oauth/token", true),
            ("/oauth/token/", false),
            ("/oauth/token?query", true),
            ("/api/oauth/token", true),
            ("/", false),
            ("/oauth", false),
            ("/oauth/token//", false),
            ("/oauth/tokens", false),
            ("/oauth/token/more", false),
            ("//oauth/token", false),
            ("/OAuth/token", false),
        ];
        for (target, is_match) in rows {
            let request = Request::get(target).body(Empty::<Bytes>::new()).unwrap();
            let status = service.call(request).await.unwrap().status();
            assert_eq!(status == StatusCode::OK, is_match, "{target}: {status}");
        }
    }
}

//! The console and its JSON API: everything at and below the management path.
//!
//! Whatever is asked, the guard comes first: transport, host, then Basic credentials. What does
//! not live here: what an action does (`actors::management`), how a page looks (`templates`).

mod api;
mod console;
mod cursors;
mod guard;
mod origin;
mod record_pages;
mod refusal;
#[cfg(test)]
mod tests;

use bytes::Buf;
use futures_util::Stream;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, Method};
use warp::path::Tail;
use warp::reply::Response;

use super::extract::connection::Connection;
use super::{Handles, Surface, path_prefix};
use crate::actors::management::Management;
use crate::http::pages::Pages;
use guard::{Guard, Host};

/// What the console works with.
#[derive(Clone)]
struct Console {
    management: Management,
    pages: Pages,
    guard: Guard,
    path: String,
}

/// A request to the console or its API.
struct Request {
    method: Method,
    /// What follows the management path, without a slash before it.
    below: String,
    query: String,
    headers: HeaderMap,
    host: Host,
    /// Absent when a program serves our routes by itself: then the request counts as insecure.
    connection: Option<Connection>,
}

/// The console at `path` and the API below it. It answers every path below.
pub(super) fn console(
    path: &str,
    handles: &Handles,
    surface: &Surface,
) -> BoxedFilter<(Response,)> {
    let console = Console {
        management: handles.management.clone(),
        pages: handles.pages.clone(),
        guard: Guard::new(&surface.hosts, &surface.trusted_proxies),
        path: path.to_owned(),
    };
    path_prefix(path)
        .and(request())
        .and(warp::body::stream())
        .then(move |request: Request, body| {
            let console = console.clone();
            async move { console.answer(request, body).await }
        })
        .boxed()
}

fn request() -> BoxedFilter<(Request,)> {
    let host = warp::host::optional().map(Host::from);
    let host = host.or(warp::any().map(|| Host::Malformed)).unify();
    warp::method()
        .and(warp::path::tail())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(host)
        .and(warp::ext::optional::<Connection>())
        .map(
            |method, below: Tail, query, headers, host, connection| Request {
                // "HEAD is identical to GET except that the server MUST NOT send content"
                // (RFC 9110 §9.3.2); the server below drops it.
                method: if method == Method::HEAD {
                    Method::GET
                } else {
                    method
                },
                below: below.as_str().to_owned(),
                query,
                headers,
                host,
                connection,
            },
        )
        .boxed()
}

impl Console {
    async fn answer<S, B>(&self, request: Request, body: S) -> Response
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let is_api = request.below == "api" || request.below.starts_with("api/");
        let answer = match self.guard.admit(&request, &self.management).await {
            Err(refusal) => Err(refusal),
            Ok(_user) if is_api => api::answer(self, &request, body).await,
            Ok(user) if request.below.is_empty() => {
                console::answer(self, &request, &user, body).await
            }
            Ok(user) => record_pages::answer(self, &request, &user, body).await,
        };
        answer.unwrap_or_else(|refusal| {
            if is_api {
                refusal.into_problem()
            } else {
                refusal.into_page(&self.pages)
            }
        })
    }
}

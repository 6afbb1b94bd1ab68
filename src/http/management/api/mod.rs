//! `/management/api/v1/…`: what the console does, as JSON.

mod actors;
mod clients;
mod path;
mod tokens;
mod users;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::{Reply, Response};

use super::refusal::Refusal;
use super::{Console, Request, origin};
use crate::http::error::no_store;
use crate::http::extract::body;
use crate::http::extract::form::Form;

/// The description that the API serves of itself (OpenAPI 3.1).
const OPENAPI: &str = include_str!("openapi.json");
/// Records on a page when the request does not say.
const DEFAULT_LIMIT: usize = 50;
/// Most records on a page.
const MAX_LIMIT: usize = 200;
/// The longest cursor we look up, in bytes.
const MAX_CURSOR_BYTES: usize = 256;

/// Answers an authenticated request.
pub(super) async fn answer<S, B>(
    console: &Console,
    request: &Request,
    body: S,
) -> Result<Response, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let management = &console.management;
    let path = request.below.strip_prefix("api/v1/").unwrap_or_default();
    let segments = path::segments(path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (segments.as_slice(), &request.method) {
        (["users", rest @ ..], _) => users::answer(management, request, rest, body).await,
        (["clients", rest @ ..], _) => clients::answer(management, request, rest, body).await,
        (["tokens", rest @ ..], _) => tokens::answer(management, request, rest, body).await,
        (["actors"], &Method::GET) => Ok(actors::list(management)),
        (["openapi.json"], &Method::GET) => Ok(openapi()),
        (["actors" | "openapi.json"], _) => Err(Refusal::method_not_allowed("GET, HEAD")),
        _ => Err(Refusal::not_found()),
    }
}

/// Which part of a list is asked for.
struct ListQuery {
    limit: usize,
    after: Option<String>,
    /// The one user of this name.
    username: Option<String>,
}

impl ListQuery {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let query = Form::parse_pairs(query.as_bytes())?;
        let after = query.get("after").map(str::to_owned);
        if after
            .as_ref()
            .is_some_and(|after| after.len() > MAX_CURSOR_BYTES)
        {
            return Err(bad_cursor());
        }
        let limit = query.get("limit").map_or(Ok(DEFAULT_LIMIT), read_limit)?;
        Ok(Self {
            limit,
            after,
            username: query.get("username").map(str::to_owned),
        })
    }
}

fn read_limit(text: &str) -> Result<usize, Refusal> {
    let limit = text.parse().ok();
    let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Refusal::invalid("The limit is 1 to 200."))
}

fn bad_cursor() -> Refusal {
    Refusal::invalid("The place in the list cannot be read.")
}

/// Reads the JSON body of a state change.
async fn read<T, S, B>(request: &Request, body: S) -> Result<T, Refusal>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    check_change(request)?;
    let body: Bytes = body::read(&request.headers, body).await?;
    let unlike = "The body is not the JSON object that the API description asks for.";
    serde_json::from_slice(&body).map_err(|_unlike| Refusal::invalid(unlike))
}

/// Checks a state change that may have no body.
fn check_change(request: &Request) -> Result<(), Refusal> {
    origin::check(request)?;
    // A page of another site can send a form, but not this media type unasked (Fetch §2.2.2).
    if is_json(&request.headers) {
        Ok(())
    } else {
        Err(Refusal::not_json())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (types.next().map(HeaderValue::to_str), types.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    is_json && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

fn no_content() -> Response {
    no_store(StatusCode::NO_CONTENT.into_response())
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = no_store(warp::reply::json(value).into_response());
    // A value that cannot be written stays a 500.
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

fn openapi() -> Response {
    let mut response = no_store(OPENAPI.into_response());
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

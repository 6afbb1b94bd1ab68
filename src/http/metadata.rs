//! `GET /.well-known/oauth-authorization-server`: what the server can do and where (RFC 8414).

use bytes::Bytes;
use serde::Serialize;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::Method;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::error::{OAuthError, allow};
use super::{READ, Surface, exact_path, respond};
use crate::domain::client::GrantType;

/// Where it is, for an issuer without a path (RFC 8414 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
/// How clients may authenticate, by registered names; `none` are public ones.
const AUTH_METHODS: &[&str] = &["client_secret_basic", "client_secret_post", "none"];
/// As above, where a public client is refused.
const CONFIDENTIAL_AUTH_METHODS: &[&str] = &["client_secret_basic", "client_secret_post"];

/// The document (RFC 8414 §2).
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    /// Required (RFC 8414 §2), though there is no authorization endpoint to have any.
    response_types_supported: [&'static str; 0],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grant_types_supported: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    token_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
}

/// The endpoint; `None` while nobody knows how clients call the server.
pub(super) fn metadata(surface: &Surface) -> Option<BoxedFilter<(Response,)>> {
    let issuer = surface.issuer.as_deref()?;
    let document = Bytes::from(serde_json::to_vec(&describe(issuer, surface)).ok()?);
    // The path of an issuer comes after the well-known one (RFC 8414 §3.1).
    let path = format!("{WELL_KNOWN}{}", &issuer[origin(issuer).len()..]);
    let endpoint = exact_path(&path)
        .and(warp::method())
        .map(move |method| respond(answer(&method, &document)));
    Some(endpoint.boxed())
}

fn describe<'a>(issuer: &'a str, surface: &Surface) -> Metadata<'a> {
    let at = |path: &String| format!("{}{path}", origin(issuer));
    let token_endpoint = surface.token_path.as_ref().map(at);
    let grant_types = GrantType::ALL.iter().map(|grant_type| grant_type.as_str());
    Metadata {
        issuer,
        grant_types_supported: grant_types.filter(|_| token_endpoint.is_some()).collect(),
        token_endpoint_auth_methods_supported: if token_endpoint.is_some() {
            AUTH_METHODS
        } else {
            &[]
        },
        token_endpoint,
        response_types_supported: [],
        introspection_endpoint: at(&surface.introspection_path),
        introspection_endpoint_auth_methods_supported: CONFIDENTIAL_AUTH_METHODS,
        revocation_endpoint: at(&surface.revocation_path),
        revocation_endpoint_auth_methods_supported: AUTH_METHODS,
    }
}

/// Scheme and host of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}

fn answer(method: &Method, document: &Bytes) -> Result<Response, OAuthError> {
    allow(method, READ)?;
    let mut response = Response::new(document.clone().into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_url_up_to_its_path() {
        for (url, expected) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example:5000/x/y", "https://a.example:5000"),
            ("http://[::1]:5000", "http://[::1]:5000"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}

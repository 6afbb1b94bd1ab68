//! `POST /token` (RFC 6749 §3.2, §4.3, §5, §6)

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use ipnet::IpNet;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, Method};
use warp::reply::Response;

use super::error::{OAuthError, allow};
use super::extract::connection::Connection;
use super::extract::{body, client_credentials, form::Form};
use super::wire::token::TokenResponse;
use super::{exact_path, respond};
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::token_issuer::request::TokenRequest;
use crate::domain::client::GrantType;
use crate::domain::error::GrantError;
use crate::domain::network::Network;
use crate::domain::scope::Scope;
use crate::domain::token::TokenValue;
use crate::domain::user::Password;
use crate::telemetry::metrics::TOKEN_REQUESTS;

/// Parameters that must not stand in the URI (RFC 6749 §2.3.1).
const BODY_ONLY: [&str; 7] = [
    "grant_type",
    "client_id",
    "client_secret",
    "username",
    "password",
    "refresh_token",
    "scope",
];

pub(super) fn token(
    path: &str,
    issuer: TokenIssuer,
    trusted_proxies: &Arc<[IpNet]>,
) -> BoxedFilter<(Response,)> {
    let trusted_proxies = Arc::clone(trusted_proxies);
    exact_path(path)
        .and(warp::method())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Connection>())
        .map(
            move |method, query, headers, connection: Option<Connection>| {
                let network = connection.and_then(|own| own.network(&headers, &trusted_proxies));
                Request {
                    method,
                    query,
                    headers,
                    network,
                }
            },
        )
        .and(warp::body::stream())
        .then(move |request: Request, body| {
            let issuer = issuer.clone();
            async move { respond(answer(issuer, request, body).await) }
        })
        .boxed()
}

struct Request {
    method: Method,
    query: String,
    headers: HeaderMap,
    network: Option<Network>,
}

async fn answer(
    issuer: TokenIssuer,
    request: Request,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<TokenResponse, OAuthError> {
    allow(&request.method, "POST")?;
    let body = body::read(&request.headers, body).await?;
    check_query(&request.query)?;
    let form = Form::parse(&request.headers, &body)?;
    let credentials = client_credentials::read(&request.headers, &form, request.network)?;
    let (grant_type, request) = read_request(&form)?;
    let client_id = credentials.client_id.clone();
    let answer = issuer
        .issue(credentials, request)
        .await
        .map_err(OAuthError::from);
    note(grant_type, client_id.as_str(), answer.as_ref().err());
    Ok(answer?.into())
}

/// How much of a client identifier that may be anybody's invention is logged.
const MAX_LOGGED_CHARACTERS: usize = 64;

fn check_query(query: &str) -> Result<(), OAuthError> {
    let is_named = |name: &str| BODY_ONLY.contains(&name);
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_named(&name)) {
        let wanted = "parameters are read from the request body only";
        return Err(OAuthError::invalid_request(wanted));
    }
    Ok(())
}

fn read_request(form: &Form) -> Result<(GrantType, TokenRequest), OAuthError> {
    let name = form.require("grant_type", "grant_type is missing")?;
    let grant_type = GrantType::parse(name).ok_or(GrantError::UnsupportedGrantType)?;
    let scope = Scope::parse(form.get("scope").unwrap_or_default())?;
    let request = match grant_type {
        GrantType::Password => TokenRequest::Password {
            username: form.require("username", "username is missing")?.to_owned(),
            password: Password::new(form.require("password", "password is missing")?.to_owned()),
            scope,
        },
        GrantType::RefreshToken => {
            let token = form.require("refresh_token", "refresh_token is missing")?;
            TokenRequest::RefreshToken {
                refresh_token: TokenValue::parse(token),
                scope,
            }
        }
    };
    Ok((grant_type, request))
}

// One line for each issued or refused grant.
fn note(grant_type: GrantType, client_id: &str, error: Option<&OAuthError>) {
    let client_id: String = client_id.chars().take(MAX_LOGGED_CHARACTERS).collect();
    let outcome = error.map_or("issued", |error| error.code().as_str());
    let grant_type = grant_type.as_str();
    metrics::counter!(TOKEN_REQUESTS, "grant_type" => grant_type, "outcome" => outcome)
        .increment(1);
    match error {
        None => tracing::info!(grant_type, client.id = client_id, "issued"),
        Some(error) => tracing::info!(
            grant_type,
            client.id = client_id,
            oauth.error = error.code().as_str(),
            "refused"
        ),
    }
}

//! `POST /token` (RFC 6749 §3.2, §4.3, §4.4, §5, §6)

use std::sync::Arc;

use ipnet::IpNet;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::error::{ErrorCode, OAuthError};
use super::extract::client_request::{ClientRequest, client_request};
use super::respond;
use super::wire::token::TokenResponse;
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::token_issuer::request::{ClientCredentials, TokenRequest};
use crate::domain::client::{ClientId, GrantType};
use crate::domain::error::GrantError;
use crate::domain::scope::Scope;
use crate::domain::token::TokenValue;
use crate::domain::user::Password;
use crate::telemetry::metrics::TOKEN_REQUESTS;

pub(super) fn token(
    path: &str,
    issuer: TokenIssuer,
    trusted_proxies: &Arc<[IpNet]>,
) -> BoxedFilter<(Response,)> {
    client_request(path, trusted_proxies)
        .then(move |request| {
            let issuer = issuer.clone();
            async move { respond(answer(&issuer, request).await) }
        })
        .boxed()
}

async fn answer(
    issuer: &TokenIssuer,
    request: Result<ClientRequest, OAuthError>,
) -> Result<TokenResponse, OAuthError> {
    let form = request.as_ref().ok().map(|request| &request.form);
    let name = form.and_then(|form| form.get("grant_type"));
    let grant_type = name.and_then(GrantType::parse);
    let (credentials, request) = match request.and_then(|own| read(grant_type, own)) {
        Ok(read) => read,
        Err(error) => {
            note(grant_type, None, Some(&error));
            return Err(error);
        }
    };
    let client_id = credentials.client_id.clone();
    let answer = issuer
        .issue(credentials, request)
        .await
        .map_err(OAuthError::from);
    note(grant_type, Some(&client_id), answer.as_ref().err());
    Ok(answer?.into())
}

fn read(
    grant_type: Option<GrantType>,
    request: ClientRequest,
) -> Result<(ClientCredentials, TokenRequest), OAuthError> {
    let ClientRequest { form, credentials } = request;
    form.require("grant_type", "grant_type is missing")?;
    let grant_type = grant_type.ok_or(GrantError::UnsupportedGrantType)?;
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
        GrantType::ClientCredentials => TokenRequest::ClientCredentials { scope },
    };
    Ok((credentials, request))
}

// One count and one line for each request. The grant type is one that we serve, or `other`, never what
// was sent. The line names the client once it is known: before, what stands in its place may be the
// name of a user or a secret, of who mixed them up.
fn note(grant_type: Option<GrantType>, client_id: Option<&ClientId>, error: Option<&OAuthError>) {
    let code = error.map(OAuthError::code);
    let is_known = !matches!(
        code,
        Some(ErrorCode::InvalidClient | ErrorCode::TemporarilyUnavailable)
    );
    let client_id = client_id.filter(|_| is_known).map(ClientId::as_str);
    let code = code.map(ErrorCode::as_str);
    let outcome = code.unwrap_or("issued");
    let grant_type = grant_type.map_or("other", GrantType::as_str);
    metrics::counter!(TOKEN_REQUESTS, "grant_type" => grant_type, "outcome" => outcome)
        .increment(1);
    match code {
        None => tracing::info!(grant_type, client.id = client_id, "issued"),
        Some(code) => {
            tracing::info!(
                grant_type,
                client.id = client_id,
                oauth.error = code,
                "refused"
            );
        }
    }
}

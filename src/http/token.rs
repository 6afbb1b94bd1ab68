//! `POST /token` (RFC 6749 §3.2, §4.3, §4.4, §5, §6)

use std::sync::Arc;

use ipnet::IpNet;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::error::{ErrorCode, OAuthError};
use super::extract::client_request::{ClientRequest, client_request};
use super::extract::form::Form;
use super::respond;
use super::wire::token::TokenResponse;
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::token_issuer::request::TokenRequest;
use crate::domain::client::GrantType;
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
    let ClientRequest { form, credentials } = request?;
    let (grant_type, request) = read_request(&form)?;
    let client_id = credentials.client_id.clone();
    let answer = issuer
        .issue(credentials, request)
        .await
        .map_err(OAuthError::from);
    note(grant_type, client_id.as_str(), answer.as_ref().err());
    Ok(answer?.into())
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
        GrantType::ClientCredentials => TokenRequest::ClientCredentials { scope },
    };
    Ok((grant_type, request))
}

// One line for each issued or refused grant. It names the client once it is known: before, what stands
// in its place may be the name of a user or a secret, of who mixed them up.
fn note(grant_type: GrantType, client_id: &str, error: Option<&OAuthError>) {
    let code = error.map(OAuthError::code);
    let is_known = !matches!(
        code,
        Some(ErrorCode::InvalidClient | ErrorCode::TemporarilyUnavailable)
    );
    let client_id = is_known.then_some(client_id);
    let code = code.map(ErrorCode::as_str);
    let outcome = code.unwrap_or("issued");
    let grant_type = grant_type.as_str();
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

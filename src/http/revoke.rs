//! `POST /revoke` (RFC 7009)

use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

use super::error::{OAuthError, no_store};
use super::extract::client_request::{ClientRequest, client_request};
use super::respond;
use crate::actors::token_issuer::TokenIssuer;
use crate::domain::token::TokenValue;
use crate::telemetry::metrics::REVOCATION_REQUESTS;

/// The body of the 200, which nobody needs; some clients parse it (RFC 7009 §2.2).
#[derive(Serialize)]
struct Revoked {}

impl Reply for Revoked {
    fn into_response(self) -> Response {
        no_store(warp::reply::json(&self).into_response())
    }
}

pub(super) fn revoke(
    path: &str,
    issuer: TokenIssuer,
    trusted_proxies: &Arc<[IpNet]>,
) -> BoxedFilter<(Response,)> {
    client_request(path, trusted_proxies)
        .then(move |request| {
            let issuer = issuer.clone();
            async move {
                let answer = answer(&issuer, request).await;
                let error = answer.as_ref().err();
                let outcome = error.map_or("revoked", |error| error.code().as_str());
                metrics::counter!(REVOCATION_REQUESTS, "outcome" => outcome).increment(1);
                respond(answer)
            }
        })
        .boxed()
}

// The hint is not needed: either kind of token is found by itself (RFC 7009 §2.1).
async fn answer(
    issuer: &TokenIssuer,
    request: Result<ClientRequest, OAuthError>,
) -> Result<Revoked, OAuthError> {
    let ClientRequest { form, credentials } = request?;
    let token = form.require("token", "token is missing")?;
    let client_id = credentials.client_id.clone();
    issuer
        .revoke_own(credentials, TokenValue::parse(token))
        .await?;
    tracing::info!(client.id = %client_id, "revoked");
    Ok(Revoked {})
}

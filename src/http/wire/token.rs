//! The successful answer of the token endpoint (RFC 6749 §5.1).

use serde::Serialize;
use warp::reply::{Reply, Response};

use crate::actors::token_issuer::request::IssuedTokens;
use crate::http::error::no_store;

/// The answer; its members stand in the order of Flask-Sentinel's.
#[derive(Serialize)]
pub struct TokenResponse {
    access_token: String,
    expires_in: u64,
    token_type: &'static str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl From<IssuedTokens> for TokenResponse {
    fn from(issued: IssuedTokens) -> Self {
        Self {
            access_token: issued.access_token.expose().to_owned(),
            expires_in: issued.expires_in.as_secs(),
            token_type: "Bearer",
            scope: issued.scope.to_string(),
            refresh_token: issued.refresh_token.map(|token| token.expose().to_owned()),
        }
    }
}

impl Reply for TokenResponse {
    fn into_response(self) -> Response {
        no_store(warp::reply::json(&self).into_response())
    }
}

//! The answer of the introspection endpoint (RFC 7662 §2.2).

use serde::Serialize;
use time::OffsetDateTime;
use warp::reply::{Reply, Response};

use crate::actors::token_issuer::request::RefreshGrant;
use crate::domain::token::Grant;
use crate::http::error::no_store;

/// A token that is active, and that the caller may see.
pub enum Active {
    /// An access token.
    Access(Grant),
    /// A refresh token.
    Refresh(RefreshGrant),
}

/// The answer. Of a token that is not active nothing is said but that.
#[derive(Default, Serialize)]
pub struct IntrospectionResponse {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The user's identifier. A client's never stands here: it might be taken for a user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// Of an access token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
}

impl IntrospectionResponse {
    /// The answer for what was found.
    pub fn new(found: Option<Active>, issued_by: Option<&str>) -> Self {
        let Some(active) = found else {
            return Self::default();
        };
        let seconds = OffsetDateTime::unix_timestamp;
        let (user, client_id, scope, issued_at, expires_at, token_type) = match active {
            Active::Access(grant) => (
                grant.user,
                grant.client_id,
                grant.scope,
                grant.issued_at,
                Some(grant.expires_at),
                Some("Bearer"),
            ),
            Active::Refresh(grant) => (
                Some(grant.user),
                grant.client_id,
                grant.scope,
                grant.issued_at,
                grant.expires_at,
                None,
            ),
        };
        let (sub, username) = user
            .map(|user| (user.id.to_string(), user.username))
            .unzip();
        Self {
            active: true,
            scope: Some(scope.to_string()),
            client_id: Some(client_id.to_string()),
            username,
            sub,
            token_type,
            exp: expires_at.map(seconds),
            iat: Some(seconds(issued_at)),
            iss: issued_by.map(str::to_owned),
        }
    }

    /// What it tells, for metrics.
    pub fn outcome(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }
}

impl Reply for IntrospectionResponse {
    fn into_response(self) -> Response {
        no_store(warp::reply::json(&self).into_response())
    }
}

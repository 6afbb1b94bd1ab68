//! `POST /introspect` (RFC 7662)

use std::sync::Arc;

use ipnet::IpNet;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::error::OAuthError;
use super::extract::client_request::{ClientRequest, client_request};
use super::respond;
use super::wire::introspection::{Active, IntrospectionResponse};
use crate::actors::token_cache::TokenCache;
use crate::actors::token_issuer::{TokenIssuer, in_time};
use crate::domain::client::policy::Introspection;
use crate::domain::client::{Client, ClientType};
use crate::domain::error::GrantError;
use crate::domain::token::TokenValue;
use crate::telemetry::metrics::INTROSPECTION_REQUESTS;

/// What the endpoint asks.
#[derive(Clone)]
pub(super) struct Introspector {
    pub(super) issuer: TokenIssuer,
    pub(super) caches: TokenCache,
    /// Who issued the tokens, if that is known.
    pub(super) issued_by: Option<Arc<str>>,
}

pub(super) fn introspect(
    path: &str,
    introspector: Introspector,
    trusted_proxies: &Arc<[IpNet]>,
) -> BoxedFilter<(Response,)> {
    client_request(path, trusted_proxies)
        .then(move |request| {
            let introspector = introspector.clone();
            async move {
                let answer = in_time(introspector.answer(request)).await;
                let outcome = match &answer {
                    Ok(told) => told.outcome(),
                    Err(error) => error.code().as_str(),
                };
                metrics::counter!(INTROSPECTION_REQUESTS, "outcome" => outcome).increment(1);
                respond(answer)
            }
        })
        .boxed()
}

impl Introspector {
    async fn answer(
        &self,
        request: Result<ClientRequest, OAuthError>,
    ) -> Result<IntrospectionResponse, OAuthError> {
        let ClientRequest { form, credentials } = request?;
        let token = form.require("token", "token is missing")?;
        let caller = self.issuer.authenticate(&credentials).await?;
        // Anybody can name a public client, and could try out tokens (RFC 7662 §2.1, §4).
        if caller.client_type == ClientType::Public {
            return Err(GrantError::InvalidClient.into());
        }
        let found = match TokenValue::parse(token) {
            Some(token) => self.find(&token, &caller).await?,
            None => None,
        };
        let issued_by = self.issued_by.as_deref();
        Ok(IntrospectionResponse::new(found, issued_by))
    }

    // The hint is not needed: either kind of token is found by itself (RFC 7662 §2.1).
    async fn find(
        &self,
        token: &TokenValue,
        caller: &Client,
    ) -> Result<Option<Active>, OAuthError> {
        if let Some(live) = self.caches.verify(token).await? {
            let grant = live.grant();
            let is_own = grant.client_id == caller.id;
            let may_see = is_own || caller.policy.introspection == Introspection::Any;
            return Ok(may_see.then_some(Active::Access(grant)));
        }
        let found = self.issuer.inspect(token).await?;
        // A resource server that took any active token would take a refresh token for an access
        // token: nobody but its own client is told of one.
        let own = found.filter(|grant| grant.client_id == caller.id);
        Ok(own.map(Active::Refresh))
    }
}

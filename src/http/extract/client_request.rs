//! What a client posts to an OAuth endpoint: a form, and who the client is (RFC 6749 §2.3, §3.2).

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use ipnet::IpNet;
use warp::http::{HeaderMap, Method};
use warp::{Filter, Rejection};

use super::connection::Connection;
use super::form::Form;
use super::{body, client_credentials};
use crate::actors::token_issuer::request::ClientCredentials;
use crate::domain::network::Network;
use crate::http::error::{OAuthError, allow};
use crate::http::exact_path;

/// Parameters that must not stand in the URI (RFC 6749 §2.3.1).
const BODY_ONLY: [&str; 9] = [
    "grant_type",
    "client_id",
    "client_secret",
    "username",
    "password",
    "refresh_token",
    "scope",
    "token",
    "token_type_hint",
];

/// A request of a client, not yet checked against any record.
#[derive(Debug)]
pub struct ClientRequest {
    /// The parameters of the body.
    pub form: Form,
    /// How the client named itself, and from where.
    pub credentials: ClientCredentials,
}

struct Head {
    method: Method,
    query: String,
    headers: HeaderMap,
    network: Option<Network>,
}

/// A filter that reads what is posted to `path`.
pub fn client_request(
    path: &str,
    trusted_proxies: &Arc<[IpNet]>,
) -> impl Filter<Extract = (Result<ClientRequest, OAuthError>,), Error = Rejection> + Clone + use<>
{
    let trusted_proxies = Arc::clone(trusted_proxies);
    exact_path(path)
        .and(warp::method())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Connection>())
        .map(
            move |method, query, headers, connection: Option<Connection>| {
                let network = connection.and_then(|own| own.network(&headers, &trusted_proxies));
                Head {
                    method,
                    query,
                    headers,
                    network,
                }
            },
        )
        .and(warp::body::stream())
        .then(read)
}

async fn read(
    head: Head,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<ClientRequest, OAuthError> {
    allow(&head.method, "POST")?;
    let body = body::read(&head.headers, body).await?;
    check_query(&head.query)?;
    let form = Form::parse(&head.headers, &body)?;
    let credentials = client_credentials::read(&head.headers, &form, head.network)?;
    Ok(ClientRequest { form, credentials })
}

fn check_query(query: &str) -> Result<(), OAuthError> {
    let is_named = |name: &str| BODY_ONLY.contains(&name);
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_named(&name)) {
        let wanted = "parameters are read from the request body only";
        return Err(OAuthError::invalid_request(wanted));
    }
    Ok(())
}

//! How a client names itself and authenticates: `client_secret_basic`, `client_secret_post`, or
//! its identifier alone (RFC 6749 §2.3.1, §3.2.1).

use warp::http::HeaderMap;

use super::basic_auth::BasicAuth;
use super::form::{Form, decode};
use crate::actors::token_issuer::request::ClientCredentials;
use crate::crypto::secret::hash_client_secret;
use crate::domain::client::ClientId;
use crate::domain::network::Network;
use crate::http::error::OAuthError;

/// Reads the client's credentials from the header or the form.
///
/// # Errors
/// 401 `invalid_client` for a header that cannot be read; 400 `invalid_request` when the client
/// does not name itself, or in two ways.
pub fn read(
    headers: &HeaderMap,
    form: &Form,
    network: Option<Network>,
) -> Result<ClientCredentials, OAuthError> {
    let credentials = |id: &str, secret: Option<&str>| ClientCredentials {
        client_id: ClientId::new(id),
        secret: secret.map(hash_client_secret),
        network,
    };
    match BasicAuth::read(headers) {
        BasicAuth::Absent => {
            let id = form.require("client_id", "client_id is missing")?;
            Ok(credentials(id, form.get("client_secret")))
        }
        BasicAuth::Present(id, secret) => {
            // Both are form-encoded before they are put into the header (RFC 6749 §2.3.1).
            let undecodable = |_| OAuthError::invalid_client();
            let id = decode(id.as_bytes()).map_err(undecodable)?;
            let secret = decode(secret.as_bytes()).map_err(undecodable)?;
            check_single_method(&id, form)?;
            // An empty secret is no secret: some clients send their identifier that way.
            Ok(credentials(
                &id,
                Some(secret.as_str()).filter(|secret| !secret.is_empty()),
            ))
        }
        BasicAuth::Malformed => Err(OAuthError::invalid_client()),
    }
}

// "The client MUST NOT use more than one authentication method in each request" (RFC 6749 §2.3)
fn check_single_method(id: &str, form: &Form) -> Result<(), OAuthError> {
    let is_other = form.get("client_id").is_some_and(|other| other != id);
    if is_other || form.get("client_secret").is_some() {
        return Err(OAuthError::invalid_request(
            "the client is named in two ways",
        ));
    }
    Ok(())
}

//! Documents of `clients`.

use std::sync::Once;
use std::time::Duration;

use mongodb::bson::{Document, RawDocument, doc};
use tracing::warn;

use crate::domain::client::policy::{ClientPolicy, Introspection, Sessions};
use crate::domain::client::{Client, ClientId, ClientType, GrantType};
use crate::domain::client_secret::StoredSecret;
use crate::domain::scope::Scope;

use super::fields::Fields;
use super::{SCHEMA, SCHEMA_VERSION, client_secrets, date, is_disabled, is_ours, sessions_ended};

/// Seconds that an access token of the client lives.
const ACCESS_LIFETIME: &str = "access_token_lifetime";
/// Seconds that a refresh token of the client lives, from the login on.
const REFRESH_LIFETIME: &str = "refresh_token_lifetime";

/// The document of a new client. Its `_id` is made by the driver.
pub(in super::super) fn write(client: &Client) -> Document {
    let grant_types: Vec<&str> = client
        .allowed_grant_types
        .iter()
        .map(|grant_type| grant_type.as_str())
        .collect();
    let mut document = doc! {
        "allowed_grant_types": grant_types,
        "client_id": client.id.as_str(),
        "client_type": client.client_type.as_str(),
        "default_redirect_uri": "",
        "default_scopes": scope_tokens(&client.default_scope),
        SCHEMA.as_str(): SCHEMA_VERSION,
        "created_at": date(client.created_at),
        "disabled": client.is_disabled,
        "name": &client.name,
        "allowed_scopes": scope_tokens(&client.allowed_scope),
        "sessions": client.policy.sessions.as_str(),
        "introspection": client.policy.introspection.as_str(),
    };
    let lifetimes = [
        (ACCESS_LIFETIME, client.policy.access_lifetime),
        (REFRESH_LIFETIME, client.policy.refresh_lifetime),
    ];
    for (key, lifetime) in lifetimes {
        if let Some(lifetime) = lifetime {
            let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
            document.insert(key, seconds);
        }
    }
    document.extend(client_secrets::fields(&client.secrets));
    document
}

/// Reads a client; `None` when an identifier has a type nobody writes.
pub(in super::super) fn read(document: &RawDocument) -> Option<Client> {
    let document = &Fields::of(document);
    let id = ClientId::new(document.text("client_id")?);
    let made_at = document.record_id("_id")?.created_at();
    let created_at = document.instant("created_at").unwrap_or(made_at);
    let secrets = client_secrets::read(document, created_at);
    let client = if is_ours(document) {
        Client {
            id,
            // What cannot be read must not become a client that needs no secret.
            client_type: client_type(document).unwrap_or(ClientType::Confidential),
            name: document.text("name").unwrap_or_default().to_owned(),
            allowed_grant_types: grant_types(document),
            allowed_scope: document.scope("allowed_scopes"),
            default_scope: document.scope("default_scopes"),
            policy: policy(document),
            secrets,
            is_disabled: is_disabled(document),
            sessions_ended: sessions_ended(document),
            created_at,
        }
    } else {
        // Flask-Sentinel writes grant types and scopes but never reads them back.
        Client {
            id,
            client_type: taken_over_type(document, &secrets),
            name: String::new(),
            allowed_grant_types: GrantType::DEFAULT.to_vec(),
            allowed_scope: Scope::default(),
            default_scope: Scope::default(),
            policy: ClientPolicy::default(),
            secrets,
            is_disabled: is_disabled(document),
            sessions_ended: sessions_ended(document),
            created_at: made_at,
        }
    };
    Some(client)
}

/// Flask-Sentinel never checks a secret: its confidential clients are public ones.
fn taken_over_type(document: &Fields<'_>, secrets: &[StoredSecret]) -> ClientType {
    static WARNED: Once = Once::new();
    if client_type(document) != Some(ClientType::Confidential) {
        return ClientType::Public;
    }
    if !secrets.is_empty() {
        return ClientType::Confidential;
    }
    WARNED.call_once(|| {
        warn!("a confidential client of Flask-Sentinel has no secret and is taken for public");
    });
    ClientType::Public
}

fn client_type(document: &Fields<'_>) -> Option<ClientType> {
    ClientType::parse(document.text("client_type")?)
}

/// What cannot be read is as if it were not said.
fn policy(document: &Fields<'_>) -> ClientPolicy {
    let lifetime = |key| {
        let lifetime = document.count(key).map(Duration::from_secs);
        lifetime.filter(|lifetime| ClientPolicy::is_lifetime(*lifetime))
    };
    let sessions = document.text("sessions").and_then(Sessions::parse);
    let introspection = document
        .text("introspection")
        .and_then(Introspection::parse);
    ClientPolicy {
        access_lifetime: lifetime(ACCESS_LIFETIME),
        refresh_lifetime: lifetime(REFRESH_LIFETIME),
        sessions: sessions.unwrap_or_default(),
        introspection: introspection.unwrap_or_default(),
    }
}

fn grant_types(document: &Fields<'_>) -> Vec<GrantType> {
    document
        .texts("allowed_grant_types")
        .filter_map(GrantType::parse)
        .collect()
}

fn scope_tokens(scope: &Scope) -> Vec<&str> {
    scope.iter().collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{Bson, RawDocumentBuf};

    use super::*;
    use crate::domain::client::SecretHash;
    use crate::stores::mongo::documents::binary;

    fn read(document: &Document) -> Option<Client> {
        super::read(&RawDocumentBuf::try_from(document).unwrap())
    }

    fn old(client_type: &str) -> Document {
        doc! { "_id": ObjectId::new(), "client_id": "app", "client_type": client_type }
    }

    #[test]
    fn an_old_client_may_do_what_flask_sentinel_let_it_whatever_its_fields_say() {
        let mut document = old("public");
        document.insert("allowed_grant_types", vec!["authorization_code"]);
        document.insert("default_scopes", vec!["admin"]);
        let client = read(&document).unwrap();
        assert_eq!(client.allowed_grant_types, GrantType::DEFAULT);
        assert!(client.default_scope.is_empty());
    }

    #[test]
    fn an_old_confidential_client_without_our_secrets_is_public() {
        assert_eq!(
            read(&old("confidential")).unwrap().client_type,
            ClientType::Public
        );
        let mut document = old("confidential");
        document.insert("client_secret_hashes", vec![Bson::Binary(binary(&[7; 32]))]);
        let client = read(&document).unwrap();
        assert_eq!(client.client_type, ClientType::Confidential);
        let secret = StoredSecret::of_list(SecretHash([7; 32]), 0, client.created_at);
        assert_eq!(client.secrets, [secret]);
    }

    #[test]
    fn a_client_of_ours_with_an_unknown_type_needs_a_secret() {
        let mut document = old("mystery");
        document.insert(SCHEMA.as_str(), SCHEMA_VERSION);
        assert_eq!(
            read(&document).unwrap().client_type,
            ClientType::Confidential
        );
    }
}

//! Clients in the JSON API.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::client::{Client, GrantType};
use crate::domain::client_secret::StoredSecret;
use crate::domain::scope::Scope;

/// A client. Not `Debug`: the answer to who made it holds the secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Identifier (RFC 6749 §2.2).
    pub client_id: String,
    /// `public` or `confidential`.
    pub client_type: String,
    /// What people call it.
    pub name: String,
    /// Grant types it may use.
    pub allowed_grant_types: Vec<String>,
    /// Scope it may ask for.
    pub scopes: Vec<String>,
    /// Scope it gets when it asks for none.
    pub default_scopes: Vec<String>,
    /// Lifetime of its access tokens, in seconds; absent when it is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<u64>,
    /// Lifetime of its refresh tokens, in seconds; absent when it is the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_lifetime: Option<u64>,
    /// `single` or `many`: how many pairs one user may have with it.
    pub sessions: String,
    /// `own` or `any`: whose tokens it may introspect.
    pub introspection: String,
    /// Whether it is refused everywhere.
    pub disabled: bool,
    /// When the record was made (RFC 3339).
    pub created_at: String,
    /// Its live secrets, the newest last; never the secrets themselves.
    #[serde(default)]
    pub secrets: Vec<SecretRecord>,
    /// The secret of a new confidential client, told in the 201 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// A secret of a client, without anything that could be used as it. Not `Debug`: the answer to who
/// made it holds the secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecretRecord {
    /// Identifier, 24 hex digits.
    pub id: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it was last used, to about a minute; `null` when it never was.
    pub last_used_at: Option<String>,
    /// The secret itself, told in the 201 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// The body of `POST clients`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClientRequest {
    /// `public` or `confidential`.
    pub client_type: String,
    /// What people call it; empty when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Grant types it may use; `password` and `refresh_token` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_grant_types: Option<Vec<String>>,
    /// Scope it may ask for: an array, or one text with spaces. None when absent.
    #[serde(default, deserialize_with = "scope_tokens")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Scope it gets when it asks for none, written likewise.
    #[serde(default, deserialize_with = "scope_tokens")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
    /// Lifetime of its access tokens, in seconds; the server's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<u64>,
    /// Lifetime of its refresh tokens, in seconds; the server's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_lifetime: Option<u64>,
    /// `single` or `many`; `single` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<String>,
    /// `own` or `any`; `own` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<String>,
}

/// The body of `PATCH clients/{id}`. What is absent stays.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientPatchRequest {
    /// Whether the client is refused everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl From<&Client> for ClientRecord {
    fn from(client: &Client) -> Self {
        let grant_types = client.allowed_grant_types.iter();
        Self {
            client_id: client.id.to_string(),
            client_type: client.client_type.as_str().to_owned(),
            name: client.name.clone(),
            allowed_grant_types: grant_types
                .map(|grant| GrantType::as_str(*grant).to_owned())
                .collect(),
            scopes: tokens(&client.allowed_scope),
            default_scopes: tokens(&client.default_scope),
            access_token_lifetime: client.policy.access_lifetime.map(|life| life.as_secs()),
            refresh_token_lifetime: client.policy.refresh_lifetime.map(|life| life.as_secs()),
            sessions: client.policy.sessions.as_str().to_owned(),
            introspection: client.policy.introspection.as_str().to_owned(),
            disabled: client.is_disabled,
            created_at: super::instant(client.created_at),
            secrets: client.secrets.iter().map(SecretRecord::from).collect(),
            client_secret: None,
        }
    }
}

impl From<&StoredSecret> for SecretRecord {
    fn from(secret: &StoredSecret) -> Self {
        Self {
            id: secret.id.to_string(),
            created_at: super::instant(secret.created_at),
            last_used_at: secret.last_used_at.map(super::instant),
            client_secret: None,
        }
    }
}

fn tokens(scope: &Scope) -> Vec<String> {
    scope.iter().map(str::to_owned).collect()
}

fn scope_tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(ScopeVisitor)
}

struct ScopeVisitor;

impl<'de> Visitor<'de> for ScopeVisitor {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of scope tokens, or one text with spaces")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = array.next_element()? {
            tokens.push(token);
        }
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<NewClientRequest, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn scopes_are_an_array_or_one_text() {
        let array = read(r#"{"client_type":"public","scopes":["read","write"]}"#).unwrap();
        let text = read(r#"{"client_type":"public","scopes":"read write"}"#).unwrap();
        assert_eq!(array.scopes, ["read", "write"]);
        assert_eq!(text.scopes, array.scopes);
        assert!(read(r#"{"client_type":"public","scopes":1}"#).is_err());
    }

    #[test]
    fn an_unknown_member_is_refused() {
        assert!(read(r#"{"client_type":"public"}"#).is_ok());
        assert!(read(r#"{"client_type":"public","redirect":"x"}"#).is_err());
    }
}

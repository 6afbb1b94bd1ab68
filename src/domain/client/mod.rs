//! Clients: the stored record of a program that asks for tokens (RFC 6749 §2).

pub mod policy;

#[cfg(test)]
mod tests;

use std::fmt;

use subtle::ConstantTimeEq;
use time::OffsetDateTime;

use super::client_secret::{SecretId, StoredSecret};
use super::error::{GrantError, RecordError};
use super::scope::Scope;
use super::standing::Standing;
use policy::ClientPolicy;

/// A client identifier (RFC 6749 §2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

impl ClientId {
    /// Wraps an identifier as stored or as sent.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identifier as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    /// It cannot: it names itself only.
    Public,
    /// It can: it authenticates with its secret.
    Confidential,
}

impl ClientType {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }

    /// Reads the registered name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "public" => Some(Self::Public),
            "confidential" => Some(Self::Confidential),
            _ => None,
        }
    }
}

/// A grant type we serve (RFC 6749 §4.3, §4.4, §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// Resource owner password credentials.
    Password,
    /// Refreshing an access token.
    RefreshToken,
    /// A confidential client for itself.
    ClientCredentials,
}

impl GrantType {
    /// Each grant type we serve.
    pub const ALL: [Self; 3] = [Self::Password, Self::RefreshToken, Self::ClientCredentials];

    /// What a client may use that was registered without a word on it: tokens of users.
    pub const DEFAULT: [Self; 2] = [Self::Password, Self::RefreshToken];

    /// The registered `grant_type` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    /// Reads a `grant_type` value.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|grant_type| grant_type.as_str() == name)
    }
}

/// The SHA-256 of a client secret. Secrets are generated with 256 bits, so a slow hash would
/// protect nothing and throttle the endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// A stored client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Identifier.
    pub id: ClientId,
    /// Public or confidential.
    pub client_type: ClientType,
    /// What people call it; empty for a taken-over one.
    pub name: String,
    /// The grant types it may use.
    pub allowed_grant_types: Vec<GrantType>,
    /// The scope it may ask for.
    pub allowed_scope: Scope,
    /// The scope it gets when it asks for none.
    pub default_scope: Scope,
    /// How its tokens are issued.
    pub policy: ClientPolicy,
    /// Its live secrets, the newest last; none for a public client.
    pub secrets: Vec<StoredSecret>,
    /// A disabled client gets no tokens.
    pub is_disabled: bool,
    /// How often all of its tokens were ended.
    pub sessions_ended: u64,
    /// When the record was made.
    pub created_at: OffsetDateTime,
}

/// What a new client may say of itself.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// Public or confidential.
    pub client_type: ClientType,
    /// What people call it, at most 256 bytes.
    pub name: String,
    /// The grant types it may use.
    pub allowed_grant_types: Vec<GrantType>,
    /// The scope it may ask for.
    pub allowed_scope: Scope,
    /// The scope it gets when it asks for none.
    pub default_scope: Scope,
    /// How its tokens are issued.
    pub policy: ClientPolicy,
}

impl ClientRegistration {
    /// A public or confidential client as the console makes it: tokens of users, no scope.
    pub fn new(client_type: ClientType) -> Self {
        Self {
            client_type,
            name: String::new(),
            allowed_grant_types: GrantType::DEFAULT.to_vec(),
            allowed_scope: Scope::default(),
            default_scope: Scope::default(),
            policy: ClientPolicy::default(),
        }
    }

    /// Checks what was asked for.
    ///
    /// # Errors
    /// [`RecordError`], those of clients, as they say.
    pub fn check(&self) -> Result<(), RecordError> {
        if self.name.len() > 256 || self.name.chars().any(char::is_control) {
            return Err(RecordError::ClientName);
        }
        if !self.default_scope.is_subset_of(&self.allowed_scope) {
            return Err(RecordError::DefaultScope);
        }
        let is_for_itself = self
            .allowed_grant_types
            .contains(&GrantType::ClientCredentials);
        if is_for_itself && self.client_type == ClientType::Public {
            return Err(RecordError::GrantType);
        }
        self.policy.check(self.client_type)
    }
}

impl Client {
    /// Whether it may have tokens.
    pub fn standing(&self) -> Standing {
        Standing {
            is_disabled: self.is_disabled,
            sessions_ended: self.sessions_ended,
        }
    }

    /// Authenticates the client by the hash of the secret it sent (RFC 6749 §2.3.1, §3.2.1). Gives
    /// which of its secrets that was.
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`] when it is disabled, when a confidential client sent no
    /// secret or a wrong one, or when a public client sent any.
    pub fn authenticate(&self, sent: Option<&SecretHash>) -> Result<Option<SecretId>, GrantError> {
        let used = match (self.client_type, sent) {
            (ClientType::Public, None) => None,
            (ClientType::Confidential, Some(sent)) => Some(self.find_secret(sent)?),
            (ClientType::Public, Some(_)) | (ClientType::Confidential, None) => {
                return Err(GrantError::InvalidClient);
            }
        };
        if self.is_disabled {
            return Err(GrantError::InvalidClient);
        }
        Ok(used)
    }

    // Each is compared in full, whichever it is.
    fn find_secret(&self, sent: &SecretHash) -> Result<SecretId, GrantError> {
        let mut found = None;
        for own in &self.secrets {
            if bool::from(own.hash.0.ct_eq(&sent.0)) {
                found = Some(own.id);
            }
        }
        found.ok_or(GrantError::InvalidClient)
    }

    /// Whether it may use `grant_type`. A public client may never ask for itself, whatever its
    /// record says (RFC 6749 §4.4).
    ///
    /// # Errors
    /// [`GrantError::UnauthorizedClient`] when it may not.
    pub fn check_grant_type(&self, grant_type: GrantType) -> Result<(), GrantError> {
        let is_possible = grant_type != GrantType::ClientCredentials
            || self.client_type == ClientType::Confidential;
        if is_possible && self.allowed_grant_types.contains(&grant_type) {
            Ok(())
        } else {
            Err(GrantError::UnauthorizedClient)
        }
    }

    /// The scope it gets for what it asked (RFC 6749 §3.3): its default when it asked for none.
    ///
    /// # Errors
    /// [`GrantError::InvalidScope`] when it asked for more than it may.
    pub fn grant_scope(&self, asked: &Scope) -> Result<Scope, GrantError> {
        if asked.is_empty() {
            return Ok(self.default_scope.clone());
        }
        if asked.is_subset_of(&self.allowed_scope) {
            Ok(asked.clone())
        } else {
            Err(GrantError::InvalidScope)
        }
    }
}

//! What the RFCs call wrong. A client's mistake is a value; nothing here speaks of broken parts.

use thiserror::Error;

/// Why a token request is refused (RFC 6749 §5.2). The text is safe to show and holds no input.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum GrantError {
    /// A parameter is missing, repeated, malformed or too long.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The client is unknown or did not authenticate as it must (RFC 6749 §3.2.1).
    #[error("client authentication failed")]
    InvalidClient,
    /// The resource owner's credentials or the refresh token are not good, whatever the reason.
    #[error("the credentials or the refresh token are invalid, expired or revoked")]
    InvalidGrant,
    /// The client may not use this grant type.
    #[error("the client is not allowed to use this grant type")]
    UnauthorizedClient,
    /// The token is another client's (RFC 7009 §2.1).
    #[error("the token was issued to another client")]
    ForeignToken,
    /// We serve no such grant type.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// The scope is malformed or wider than the client or the first grant allows.
    #[error("the scope is malformed or wider than allowed")]
    InvalidScope,
}

/// Why a new user or client is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// The username is empty, over 256 bytes, or has a control character.
    #[error("a username has 1 to 256 bytes and no control characters")]
    Username,
    /// The password has fewer characters than the setting asks for.
    #[error("the password is too short")]
    PasswordTooShort,
    /// The password has more than the 71 bytes that bcrypt can tell apart, or a NUL.
    #[error("a password has at most 71 bytes and no NUL")]
    PasswordTooLong,
    /// The password is the user's name.
    #[error("the password is the username")]
    PasswordIsUsername,
    /// The password is one of those that guessers try first.
    #[error("the password is one of the most common ones")]
    PasswordCommon,
    /// The client's name is over 256 bytes or has a control character.
    #[error("a client name has at most 256 bytes and no control characters")]
    ClientName,
    /// A scope is malformed.
    #[error("a scope is empty or has a character that RFC 6749 does not allow")]
    Scope,
    /// The scopes are over 1,000 characters in all.
    #[error("the scopes are too long")]
    ScopeTooLong,
    /// A default scope is not among the allowed ones.
    #[error("a default scope is not among the client's scopes")]
    DefaultScope,
    /// A public client has no secret.
    #[error("a public client has no secret")]
    PublicSecret,
    /// A confidential client keeps one secret at least.
    #[error("it is the only secret of its client")]
    LastSecret,
    /// A grant type is unknown or not allowed to this type of client.
    #[error("a grant type is not supported for this type of client")]
    GrantType,
    /// A lifetime of a client's tokens is nothing, or over 100 years.
    #[error("a lifetime is at least 1 second and at most 100 years")]
    Lifetime,
    /// Only a confidential client can show who it is, and so see tokens of others.
    #[error("a public client cannot introspect the tokens of others")]
    Introspection,
}

//! Types and rules of OAuth 2.0 as we serve it: no async, no input or output.
//!
//! What does not live here: JSON and BSON shapes (`http::wire`, `stores`), wall time (`clock`).

pub mod attempt;
pub mod client;
pub mod client_secret;
mod common_passwords;
pub mod error;
pub mod grant;
mod hex;
pub mod network;
pub mod scope;
pub mod standing;
pub mod token;
pub mod token_key;
pub mod token_pair;
pub mod user;

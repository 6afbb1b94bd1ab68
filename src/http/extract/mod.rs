//! What several endpoints read from a request. Extractors give a `Result` rather than reject:
//! a rejection means only "not my route".

pub mod basic_auth;
pub mod bearer;
pub mod body;
pub mod client_credentials;
pub mod client_request;
pub mod connection;
pub mod form;

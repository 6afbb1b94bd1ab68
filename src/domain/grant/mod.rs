//! One file per `grant_type`: a pure function from a request and the records to a decision.

pub mod password;
pub mod refresh_token;

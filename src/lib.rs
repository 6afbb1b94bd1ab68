//! An OAuth 2.0 token server for the resource owner password credentials grant (RFC 6749 §4.3),
//! on MongoDB and Redis; the successor of Flask-Sentinel.

pub mod actors;
pub mod cli;
pub mod clock;
pub mod crypto;
pub mod domain;
pub mod http;
pub mod sentinel;
pub mod server;
pub mod settings;
pub mod stores;
pub mod telemetry;

pub use domain::token::Grant;
pub use sentinel::Sentinel;
pub use settings::Settings;

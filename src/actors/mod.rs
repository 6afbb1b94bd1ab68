//! The supervised actors: one file each, a handle that other rooms may clone and a private actor
//! behind it.
//!
//! What does not live here: queries (`stores`), HTTP (`http`), rules of OAuth (`domain`).

pub mod handle;
pub mod management;
pub mod password_pool;
pub mod supervisor;
pub mod throttle;
pub mod token_cache;
pub mod token_issuer;
pub mod user_registry;

mod batch;
mod restart_policy;

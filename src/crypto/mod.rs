//! What needs chance or a key: random values, password hashes, secrets, form tokens.
//!
//! What does not live here: which threads compute password hashes (`actors::password_pool`).

pub mod csrf;
pub mod digest;
pub mod password;
pub mod random;
pub mod sealed_pair;
pub mod secret;
pub mod token_keys;

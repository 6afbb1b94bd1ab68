//! What both test binaries need to run the server against real stores.

pub(crate) mod app;
pub(crate) mod stores;

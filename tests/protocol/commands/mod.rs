//! The commands of the binary, as people run them.

mod administration;
mod configuration;
mod dev;
mod endings;
mod serve;

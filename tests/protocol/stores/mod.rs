//! What `stores/mod.rs` promises, asked of each store; then what each shares with other programs.

mod contract;
mod fixtures;
mod mongo;
mod redis;

//! authkv: authentication and a batch key-value store as stored procedures of Tarantool, with an HTTP server in
//! the same process.
//!
//! The library exports the procedures of [`procs`] and [`tx::lua`], and nothing else.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod allocator;
mod audit;
mod auth;
mod bridge;
mod bulk;
mod core;
mod disk;
#[cfg(test)]
mod documentation;
mod handoff;
mod health;
mod http;
mod instance;
mod kv;
mod offload;
// The attribute of procedures exports symbols, which counts as unsafe code.
#[allow(unsafe_code)]
mod procs;
mod storage;
#[allow(unsafe_code)]
mod tx;
mod upkeep;

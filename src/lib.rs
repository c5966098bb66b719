//! authkv: authentication and a batch key-value store as stored procedures of Tarantool, with an HTTP front in
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
mod clock;
mod codec;
mod command;
mod config;
#[cfg(test)]
mod documentation;
mod domain;
mod error;
mod guard;
mod handover;
mod http;
mod instance;
mod kv;
mod memory;
mod origin;
// The attribute of the procedures exports symbols, which counts as unsafe.
#[allow(unsafe_code)]
mod procs;
mod steady;
mod storage;
mod threads;
#[allow(unsafe_code)]
mod tx;
mod upkeep;

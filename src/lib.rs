//! authkv: authentication and a batch key-value store as stored procedures of Tarantool, with an HTTP front in
//! the same process.
//!
//! The library exports the procedures of [`procs`] and [`tx::lua`], and nothing else. Modules that
//! call Tarantool are left out of unit tests, which run where its symbols do not exist.

mod auth;
mod bridge;
mod codec;
mod command;
mod config;
mod domain;
mod error;
mod guard;
mod http;
#[cfg(not(test))]
mod instance;
#[cfg(not(test))]
mod kv;
#[cfg(not(test))]
mod procs;
#[cfg(not(test))]
mod storage;
mod threads;
#[cfg(not(test))]
mod tx;

//! Users and tokens.
//!
//! `password`, `token` and `jwt` are pure and slow: once an instance is started, they run on the crypto pool or
//! an HTTP worker, not on the tx thread. `key` is read at the start. `service` runs on the tx thread and hands them their work.

pub mod jwt;
pub mod key;
pub mod password;
pub mod service;
pub mod token;

//! Users and tokens.
//!
//! `password`, `token`, `key` and `jwt` are pure and slow: they run on the crypto pool or an HTTP worker, never
//! on the tx thread. `service` runs on the tx thread and hands them their work.

pub mod jwt;
pub mod key;
pub mod password;
pub mod service;
pub mod token;

//! Users, tokens, roles and keys.
//!
//! `key`, `password`, `ring`, `strict`, `token` and `jwt` are pure. What is slow in them runs on the crypto pool or an HTTP worker
//! once an instance is started, not on the tx thread. The others run on the tx thread and hand them their work.

pub mod first_admin;
pub mod key_files;
pub mod keyring;
pub mod login;
pub mod password;
pub mod principal;
pub mod roles;
pub mod rotation;
pub mod session;
pub mod throttle;
pub mod users;

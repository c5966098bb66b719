//! Access tokens (RFC 9068), the keys that sign and verify them, and the ring of keys. Pure; any thread except tx, because
//! signing and verifying are too slow for it.

#![forbid(unsafe_code)]

mod api_key;
mod jwt;
pub mod key;
mod recent;
pub mod ring;
mod strict;
mod tokens;

pub use api_key::{ApiKey, NewApiKey};
pub use tokens::*;

//! The keys that sign and verify tokens. Pure; any thread.

mod algorithm;
mod jwk;
mod pem;
mod private;
mod public;
#[cfg(test)]
pub mod samples;
pub(crate) mod sound;

pub use algorithm::Algorithm;
pub use jwk::Jwk;
pub use private::PrivateKey;
pub use public::PublicKey;

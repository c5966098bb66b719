//! The keys that sign and verify tokens: what they are (pure, any thread), and their files (not on the tx thread
//! once an instance is started).

mod algorithm;
pub mod files;
mod jwk;
mod pem;
mod private;
mod public;
#[cfg(test)]
pub mod samples;
mod sound;

pub use algorithm::Algorithm;
pub use jwk::Jwk;
pub use private::PrivateKey;
pub use public::PublicKey;

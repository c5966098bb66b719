//! What the document says of the key-value operations of `/v1`. Pure.
//!
//! What comes piece by piece is in `streams.rs`, which the other files ask. An operation that is none of theirs is not
//! asked about; it would get nothing.

pub mod answers;
pub mod bodies;
mod encoded;
pub mod failures;
pub mod parameters;
pub mod responses;
pub mod schemas;
mod streams;

pub use streams::{body as body_of_lines, EVENTS};

//! The key-value operations of `/v1` in the document. Pure.
//!
//! `streams.rs` describes operations with pieces; the other files call it. To be asked about key-value operations only.

pub mod answers;
pub mod bodies;
mod encoded;
pub mod failures;
pub mod parameters;
pub mod responses;
pub mod schemas;
mod streams;

pub use streams::{body as body_of_lines, EVENTS};

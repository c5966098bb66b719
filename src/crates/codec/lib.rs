//! JSON ⇄ msgpack, without recursion and within limits. Pure; runs on any thread.

#![forbid(unsafe_code)]

pub mod check;
mod distinct;
mod document;
mod equal;
mod fields;
pub mod json_read;
pub mod json_write;
pub mod msgpack;
mod nearest;
mod one_line;
mod plain;
pub mod tagged;
pub mod types;

pub use check::Allowed;
pub use distinct::are_distinct;
pub use document::{without_mark, Document, Member, Members, Rules};
pub use equal::equal;
pub use fields::{flag, integer, number, seconds, shaped, string};
pub use nearest::{nearest, repeated, shown, unknown, unknown_in};
pub use one_line::in_one_line;

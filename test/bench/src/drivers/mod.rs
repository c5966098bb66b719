//! What sends requests and measures the answers.

pub mod http;
pub mod iproto;
pub mod pipeline;
pub mod resp;

//! HTTP/1.1 (RFC 9112): heads and chunked bodies.

pub mod chunked;
pub mod head;

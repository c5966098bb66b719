//! HTTP/2 (RFC 9113): frames and header blocks, read before hyper does.

pub mod gate;
pub mod heading;
pub mod hpack;

//! HTTP/2 (RFC 9113): reads frames and header blocks before hyper does.

pub mod gate;
pub mod heading;
pub mod hpack;

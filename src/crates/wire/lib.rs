//! The syntax of HTTP: heads and chunks of HTTP/1.1, frames and header blocks of HTTP/2, paths and the table of routes,
//! forms, bodies in gzip, what proxies report. Pure; any thread.

#![forbid(unsafe_code)]

pub mod forwarded;
pub mod h1;
pub mod h2;
pub mod head;
pub mod inflate;
pub mod input;
pub mod percent;
pub mod preamble;
pub mod routes;
pub mod trace;

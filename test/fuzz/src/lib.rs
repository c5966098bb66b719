//! The parts of the library that look at what strangers send, for the fuzz targets. They are pure, so they are
//! compiled here from the library's own files, without Tarantool and without a change to what the library exports.

// A rule for what is public, which these parts are here only.
#![allow(clippy::len_without_is_empty)]

#[path = "../../../src/auth"]
pub mod auth {
    pub mod jwt;
    pub mod key;
    pub mod recent;
    pub mod ring;
    pub mod strict;
    pub mod token;
}
#[path = "../../../src/clock.rs"]
pub mod clock;
#[path = "../../../src/codec/mod.rs"]
pub mod codec;
#[path = "../../../src/command"]
pub mod command {
    mod operation;
    pub use operation::Operation;
}
#[path = "../../../src/config/mod.rs"]
pub mod config;
#[path = "../../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/http"]
pub mod http {
    pub mod head;
    pub mod percent;
    pub mod routes;
    pub mod h1 {
        pub mod chunked;
        pub mod head;
    }
    /// Stands for the pages of the library, which its build puts together.
    pub mod docs {
        pub const ALLOW: &str = "GET, HEAD";

        #[derive(Debug, PartialEq, Eq)]
        pub struct Page;
    }
}

pub mod same;

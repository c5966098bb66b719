//! The files of Tarantool's database: the log of writes, which has the format of its `src/box/xlog.c`, with the place where its
//! last whole record ends; and whether a running process still has its files. Runs on any thread, but the tx thread only before
//! it serves, because it reads files.

#![forbid(unsafe_code)]

mod files;
mod open_log;
mod record;
mod room;
mod rows;
mod scan;
mod watch;

pub use files::{log_path, snapshot_path, Files};
pub use room::try_room;
pub use rows::reach;
pub use scan::{is_closed_snapshot, scan, End, Scan};
pub use watch::Watch;

/// Makes files of the log. For tests.
pub mod sample {
    /// The text that begins a file.
    pub const META: &[u8] = b"XLOG\n0.13\nVersion: 2.6.0\nInstance: 6a1b\nVClock: {1: 4}\n\n";

    /// A record with this body, as Tarantool writes it.
    pub fn record(body: &[u8]) -> Vec<u8> {
        super::record::encode(body)
    }

    /// A row with this number, and without fields.
    pub fn row(origin: u8, number: u8) -> Vec<u8> {
        vec![0x83, 0, 2, 2, origin, 3, number, 0x80]
    }

    pub use super::record::EOF_MARKER;
}

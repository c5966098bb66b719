//! Pairs as text, one per line (NDJSON): what an export writes and an import reads, over HTTP and on the console. Pure,
//! except for [`console`]; any thread.

mod batch;
pub mod console;
mod counts;
mod import;
mod lines;
mod page;

pub use counts::Counts;
pub use import::{Failure, Import, Put};
pub use page::{ask, ask_total, text};

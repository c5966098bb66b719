//! Slow work off the tx thread: threads for it, and fibers that wait for them.

mod pool;
mod threads;
mod waits;

pub use pool::Pool;
pub use threads::{Load, ThreadHooks};
pub use waits::Waits;

//! Slow work that must not hold up tx: threads for it, and how a fiber waits for them.

mod pool;
mod threads;
mod waits;

pub use pool::Pool;
pub use threads::ThreadHooks;
pub use waits::Waits;

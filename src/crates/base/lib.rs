//! What every part of authkv has: errors, clocks, the limit of memory, where a request came from, the end of panics,
//! threads. Any thread.

#![forbid(unsafe_code)]

pub mod clock;
pub mod error;
pub mod guard;
pub mod memory;
pub mod origin;
pub mod steady;
pub mod threads;

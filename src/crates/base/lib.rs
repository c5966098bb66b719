//! What every part of authkv needs: errors, clocks, the memory limit, the origin of a request, the guard against panics,
//! threads, descriptors, limits of rates, the times of requests. Any thread.

#![forbid(unsafe_code)]

pub mod clock;
pub mod descriptors;
pub mod error;
pub mod guard;
pub mod memory;
pub mod origin;
pub mod rate;
pub mod steady;
pub mod threads;
pub mod ticks;

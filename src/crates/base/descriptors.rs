//! How many descriptors the process may open. Any thread.

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// Descriptors that Tarantool and authkv need beside those of HTTP connections. Without them Tarantool floods its log.
pub const RESERVED: u64 = 256;

/// Raises the limit (`ulimit -n`) as far as the process may, and returns it.
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // If the limit cannot be raised, the present one is used.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

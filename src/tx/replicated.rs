//! Transactions that replication brings, in the form in which `tarantool_infra/replicated.lua` sends them. Pure.

use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The changes of pairs in one transaction.
#[derive(Debug, Deserialize)]
pub struct Replicated {
    /// The last revision before the transaction.
    pub before: u64,
    /// Its last revision.
    pub last: u64,
    /// For each change its kind, the new tuple or the one that was removed, and whether the pair that was replaced had expired.
    pub changes: Vec<(u8, ByteBuf, bool)>,
}

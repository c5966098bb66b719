//! A transaction with a condition. Pure; any thread.

use super::Steps;

/// Comparisons, and the steps for two cases: all of them are true, or at least one is false.
#[derive(Debug, PartialEq, Eq)]
pub struct Txn {
    pub compare: Vec<Comparison>,
    pub success: Steps,
    pub failure: Steps,
}

impl Txn {
    /// The most items in each of the three lists.
    pub const MAX: usize = 1000;
}

/// A comparison with one pair.
#[derive(Debug, PartialEq, Eq)]
pub struct Comparison {
    /// A one-element msgpack array.
    pub key: Vec<u8>,
    pub test: Test,
}

/// The property that is compared, and the expected value.
#[derive(Debug, PartialEq, Eq)]
pub enum Test {
    Exists(bool),
    /// The expected revision; 0 if the key must not exist.
    Revision(u64),
    /// The expected value, in msgpack.
    Value(Vec<u8>),
}

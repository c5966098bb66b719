//! A transaction with a condition. Pure; any thread.

use super::Steps;

/// Comparisons, and what is done where all of them hold, or where one does not.
#[derive(Debug, PartialEq, Eq)]
pub struct Txn {
    pub compare: Vec<Comparison>,
    pub success: Steps,
    pub failure: Steps,
}

impl Txn {
    /// Items that each of the three lists may have.
    pub const MAX: usize = 1000;
}

/// What is asked about one key.
#[derive(Debug, PartialEq, Eq)]
pub struct Comparison {
    /// A one-element msgpack array.
    pub key: Vec<u8>,
    pub test: Test,
}

/// The question.
#[derive(Debug, PartialEq, Eq)]
pub enum Test {
    Exists(bool),
    /// 0 where there is no such key.
    Revision(u64),
    /// In msgpack.
    Value(Vec<u8>),
}

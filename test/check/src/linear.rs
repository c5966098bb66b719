//! Whether a history of concurrent operations can be put in an order that a store without concurrency could have had.

pub mod checker;
pub mod clients;
pub mod history;
pub mod recorded;
pub mod spec;
#[cfg(test)]
mod tests;

//! The store in memory, and random sequences of commands that are compared with it.

mod apply;
mod pairs;
pub mod plan;
mod resolve;
mod revisions;
pub mod run;
mod seen;
mod store;
#[cfg(test)]
mod tests;
mod transaction;
mod values;

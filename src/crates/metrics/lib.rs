//! What the process counts, and how it is told. Any thread.
//!
//! A thread counts in cells of its own ([`PerThread`]), which are added up when somebody asks. [`list`] names every metric;
//! the part of the library that counts makes its [`Family`]. [`text`] writes families as Prometheus reads them.

#![forbid(unsafe_code)]

mod buckets;
mod family;
pub mod list;
mod per_thread;
pub mod text;

pub use buckets::Buckets;
pub use family::{Bucket, Family, Kind, Label, Labels, Metrics, Sample, Value};
pub use list::Metric;
pub use per_thread::{Own, PerThread};

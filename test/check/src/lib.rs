//! What the programs `model` and `linearize` check authkv with: real instances, clients of their own, and models
//! that say what has to be answered.

pub mod args;
pub mod client;
pub mod command;
pub mod http;
pub mod instance;
pub mod iproto;
pub mod linear;
pub mod model;
pub mod outcome;
pub mod port;
pub mod scramble;
pub mod value;

/// What is not a difference: a process, a socket or an argument that fails.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

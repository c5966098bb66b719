//! Requests that are answered piece by piece, or whose body is taken so: watches, exports, imports. HTTP workers only.
//!
//! Everything is pulled: a piece is asked for once the one before it was taken, so that a client that is slow holds one
//! piece.

mod export;
pub mod import;
mod watch;

use super::exchange::Exchange;
use super::outgoing::Outgoing;
use authkv_wire::routes::Delivery;
use import::Importing;
use std::future::Future;
use std::pin::Pin;

/// In a box, because it is large and few requests are of these.
type Large<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How a request goes on, once its head was read.
pub enum Course {
    /// Its body is read whole, if it is wanted, and the answer comes at once.
    Whole(Exchange),
    /// It has no body, and the answer comes piece by piece.
    Stream(Large<Outgoing>),
    /// Its body is taken piece by piece, unless there is an answer before that.
    Import(Large<Result<Importing, Box<Outgoing>>>),
}

impl Course {
    pub fn of(exchange: Exchange) -> Self {
        match exchange.delivery() {
            Delivery::Whole => Self::Whole(exchange),
            Delivery::Watch => Self::Stream(Box::pin(watch::answer(exchange))),
            Delivery::Export => Self::Stream(Box::pin(export::answer(exchange))),
            Delivery::Import => Self::Import(Box::pin(Importing::begin(exchange))),
        }
    }
}

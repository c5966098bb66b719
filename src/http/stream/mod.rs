//! Requests with an answer or a body in pieces: watches, exports, imports. HTTP workers only.
//!
//! A piece is produced only after the one before was taken, so that a slow client holds the memory of one piece.

mod export;
pub mod import;
mod watch;

use super::exchange::Exchange;
use super::outgoing::Outgoing;
use authkv_wire::routes::Delivery;
use import::Importing;
use std::future::Future;
use std::pin::Pin;

/// Boxed, because it is large and few requests need it.
type Large<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How a request continues after its head. The most frequent course is not boxed: each request would need an allocation.
#[allow(clippy::large_enum_variant)]
pub enum Course {
    /// Its body is read whole, if it is used, and the answer is whole.
    Whole(Exchange),
    /// It has no body, and the answer comes in pieces.
    Stream(Large<Outgoing>),
    /// Its body is read in pieces, unless the request is refused first.
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

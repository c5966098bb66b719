//! An answer on its way to the client, with the limits it uses until it is sent. Any thread.

use super::piece::Stream;
use super::response::Response;
use super::shared::InFlight;
use authkv_base::memory::Reservation;

/// An answer, as carriers get it from the exchange.
#[derive(Default)]
pub struct Outgoing {
    pub response: Response,
    /// The name of the error that the answer reports.
    pub error: Option<&'static str>,
    /// The pieces of a body of unknown length, in place of the body.
    pub stream: Option<Box<Stream>>,
    /// The method was `HEAD`: the length is that of the body, but the body is not sent (RFC 9110 §9.3.2).
    pub head_only: bool,
    /// The memory reserved for the body.
    pub held: Reservation,
    /// The request counts until its answer is sent, except for the last bytes.
    pub in_flight: Option<InFlight>,
}

//! An answer on its way to its client, with what it holds of the limits until it is sent. Any thread.

use super::piece::Stream;
use super::response::Response;
use super::shared::InFlight;
use authkv_base::memory::Reservation;

/// What carriers take from the exchange.
#[derive(Default)]
pub struct Outgoing {
    pub response: Response,
    /// What comes instead of the body, piece by piece, where the length is not known.
    pub stream: Option<Box<Stream>>,
    /// The method was `HEAD`: the length is that of the body, which is not sent (RFC 9110 §9.3.2).
    pub head_only: bool,
    /// What the body holds of the memory for answers.
    pub held: Reservation,
    /// The request counts until its answer is sent, but for the last bytes of it.
    pub in_flight: Option<InFlight>,
}

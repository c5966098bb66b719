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

impl Outgoing {
    /// The length that is told of the body. There is never one with 204 and 304, where it would be that of another answer
    /// (RFC 9110 §8.6), and none of what comes piece by piece.
    pub fn content_length(&self) -> Option<usize> {
        match (self.response.status, &self.stream) {
            (204 | 304, _) | (_, Some(_)) => None,
            _ => Some(self.response.body.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_where_there_may_be_a_body() {
        for (status, body, length) in [
            (200, &b"hello"[..], Some(5)),
            (200, b"", Some(0)),
            (404, b"no", Some(2)),
            (204, b"", None),
            (304, b"", None),
        ] {
            let mut outgoing = Outgoing {
                response: Response::new(status, body),
                head_only: true,
                ..Outgoing::default()
            };
            assert_eq!(outgoing.content_length(), length, "{status}");
            let pieces = Box::pin(futures_util::stream::empty());
            outgoing.stream = Some(Box::new(Stream::new(pieces, None, false)));
            assert_eq!(outgoing.content_length(), None, "{status}");
        }
    }
}

//! Answers in the form that hyper takes, with the limits they use. HTTP workers only.

use super::super::outgoing::Outgoing;
use super::super::piece::{Piece, Stream, Truncated};
use super::super::shared::{InFlight, Shared};
use super::{Open, PIECE};
use authkv_base::memory::Reservation;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::header::{HeaderName, HeaderValue, CONTENT_LENGTH};
use hyper::StatusCode;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use tokio::sync::oneshot;

/// A body, and its share of the limits.
pub struct Sent {
    /// The whole body, or the piece that is being sent.
    body: Bytes,
    stream: Option<Box<Stream>>,
    /// The memory reserved for the body.
    held: Reservation,
    /// Dropped once hyper has taken the whole body or piece.
    taken: Option<oneshot::Sender<()>>,
    open: Open,
    shared: Arc<Shared>,
    _in_flight: Option<InFlight>,
}

impl Sent {
    /// Takes the next piece of a stream. Returns whether there is one.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Truncated>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(false));
        };
        // hyper has taken the piece before.
        (self.taken, self.held) = (None, Reservation::default());
        let Some(piece) = ready!(stream.poll_next(context)) else {
            return Poll::Ready(Ok(false));
        };
        let Piece { bytes, held, .. } = piece?;
        self.taken = Some(self.open.expect_taken(&self.shared, bytes.len()));
        (self.body, self.held) = (bytes, held);
        Poll::Ready(Ok(true))
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        while self.body.is_empty() {
            match ready!(self.poll_piece(context)) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(None),
                Err(cut) => return Poll::Ready(Some(Err(cut))),
            }
        }
        // hyper asks for the next part once the client has taken the last one.
        let piece = self.body.len().min(PIECE);
        let piece = self.body.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty() && self.stream.is_none()
    }
}

/// Converts an answer to the form that hyper takes.
pub fn translate(outgoing: Outgoing, open: Open, shared: Arc<Shared>) -> hyper::Response<Sent> {
    let response = outgoing.response;
    let length = response.content_length(outgoing.stream.is_some());
    let taken = match outgoing.stream {
        Some(_) => None,
        None => Some(open.expect_taken(&shared, response.body.len())),
    };
    let mut translated = hyper::Response::new(Sent {
        taken,
        body: match outgoing.head_only {
            true => Bytes::new(),
            false => response.body,
        },
        stream: outgoing.stream.filter(|_| !outgoing.head_only),
        held: outgoing.held,
        open,
        shared,
        _in_flight: outgoing.in_flight,
    });
    *translated.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = translated.headers_mut();
    for (name, value) in &response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    // Set here. If the body gave its length, hyper would send it even for an answer that must not have one.
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    translated
}

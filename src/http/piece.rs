//! Answers that are sent in pieces. HTTP workers only.

use super::access_log_guard::AccessLogGuard;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

/// A piece of an answer.
#[derive(Default)]
pub struct Piece {
    pub bytes: Bytes,
    /// The memory reserved for the piece.
    pub held: Reservation,
    /// The piece is the last one, and reports this error.
    pub error: Option<Error>,
}

impl Piece {
    pub fn new(bytes: Bytes, error: Option<Error>) -> Self {
        Self {
            bytes,
            held: Reservation::default(),
            error,
        }
    }
}

/// An answer ends early, and the client has to notice it.
#[derive(Debug)]
pub struct Truncated;

/// The pieces of an answer.
pub type Pieces = Pin<Box<dyn futures_util::Stream<Item = Result<Piece, Truncated>> + Send>>;

/// The body of an answer of unknown length.
pub struct Stream {
    pieces: Pieces,
    access_log_guard: Option<AccessLogGuard>,
    /// The answer has no end, so a client that has closed its side is not waiting for one.
    pub is_endless: bool,
}

impl Stream {
    pub fn new(pieces: Pieces, access_log_guard: Option<AccessLogGuard>, is_endless: bool) -> Self {
        Self {
            pieces,
            access_log_guard,
            is_endless,
        }
    }

    /// The next piece that is not empty, or `None` at the end.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Truncated>>> {
        let piece = ready!(self.pieces.as_mut().poll_next(context));
        if let Some(Ok(piece)) = &piece {
            self.sent(piece.bytes.len(), piece.error.as_ref());
        }
        Poll::Ready(piece)
    }

    /// Counts sent bytes for the log, and notes the error.
    pub fn sent(&mut self, bytes: usize, error: Option<&Error>) {
        if let Some(access_log_guard) = &mut self.access_log_guard {
            access_log_guard.bytes_out += bytes;
            if let Some(error) = error {
                access_log_guard.note(error);
            }
        }
    }

    /// Notes the final length of the request's body for the log.
    pub fn received(&mut self, bytes: usize) {
        if let Some(access_log_guard) = &mut self.access_log_guard {
            access_log_guard.bytes_in = bytes;
        }
    }
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer ends before its end")
    }
}

impl std::error::Error for Truncated {}

//! Answers that come piece by piece. HTTP workers only.

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
    /// What it holds of the memory for answers.
    pub held: Reservation,
    /// It is the last, and tells of this failure.
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

/// An answer ends before its end, which the client has to notice.
#[derive(Debug)]
pub struct Truncated;

/// What an answer is made of.
pub type Pieces = Pin<Box<dyn futures_util::Stream<Item = Result<Piece, Truncated>> + Send>>;

/// The body of an answer whose length is not known.
pub struct Stream {
    pieces: Pieces,
    access_log_guard: Option<AccessLogGuard>,
    /// It has no end, so a client that has closed its side is not believed to wait for one.
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

    /// The next piece, which is not empty, or `None` at the end.
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

    /// Notes for the log what was sent.
    pub fn sent(&mut self, bytes: usize, error: Option<&Error>) {
        if let Some(access_log_guard) = &mut self.access_log_guard {
            access_log_guard.bytes_out += bytes;
            if let Some(error) = error {
                access_log_guard.note(error);
            }
        }
    }

    /// Notes for the log how long the body was, in the end.
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

//! Bodies in HTTP/1.1: read whole before the answer, or in pieces. HTTP workers only.

use super::super::exchange::Exchange;
use super::{io, Connection, End};
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_wire::h1::chunked::Chunked;
use authkv_wire::h1::head::Framing;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

/// A body that is read in pieces.
pub struct Body {
    pub framing: Framing,
    chunked: Chunked,
    /// The client waits for `100 Continue`.
    waits: bool,
    /// The whole body was read.
    pub ended: bool,
}

/// What `input` has of a body.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Piece(Bytes),
    Nothing,
    End,
}

impl Body {
    pub fn new(framing: Framing, waits: bool) -> Self {
        Self {
            framing,
            chunked: Chunked::default(),
            waits,
            ended: false,
        }
    }

    /// Takes the part of the body that is in `input`. Errors: `BadRequest`.
    fn take(&mut self, input: &mut BytesMut) -> Result<Taken, Error> {
        let mut piece = BytesMut::new();
        match &mut self.framing {
            Framing::Length(left) => {
                piece = input.split_to(input.len().min(*left));
                *left -= piece.len();
                self.ended = *left == 0;
            }
            Framing::Chunked => self.ended = self.chunked.read(input, &mut piece, usize::MAX)?,
        }
        Ok(match (piece.is_empty(), self.ended) {
            (false, _) => Taken::Piece(piece.freeze()),
            (true, true) => Taken::End,
            (true, false) => Taken::Nothing,
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Discards a body that is not used, if all of it was received already. Returns whether it was.
    pub fn skip(&mut self, framing: Framing) -> bool {
        match framing {
            Framing::Length(length) if length <= self.io.input.len() => {
                self.io.input.advance(length);
                true
            }
            Framing::Length(_) | Framing::Chunked => false,
        }
    }

    /// The body. If the client waits for `100 Continue`, its token is checked first. Errors: `Unauthenticated`, and those
    /// of `body`.
    pub async fn invited_body(
        &mut self,
        exchange: &mut Exchange,
        framing: Framing,
        limit: usize,
        expects_continue: bool,
    ) -> Result<(Bytes, Reservation), End> {
        let is_sent = match framing {
            // A body that is too large gets its own error first.
            Framing::Length(length) => self.io.input.len() >= length || length > limit,
            Framing::Chunked => false,
        };
        if expects_continue && !is_sent && self.io.input.is_empty() {
            exchange.invite()?;
        }
        self.body(framing, limit, expects_continue).await
    }

    /// The body. Errors: `InputTooLarge` as soon as it is known to be too large, `BodyTimeout`, `BadRequest`, `Overloaded`
    /// if the memory for bodies is used up, `Malformed` if the client stops midway.
    pub async fn body(
        &mut self,
        framing: Framing,
        limit: usize,
        expects_continue: bool,
    ) -> Result<(Bytes, Reservation), End> {
        let too_large = matches!(framing, Framing::Length(length) if length > limit);
        if too_large {
            return Err(Error::InputTooLarge { limit }.into());
        }
        let mut held = Reservation::default();
        let mut chunks = (Chunked::default(), BytesMut::new());
        let mut waiting = false;
        loop {
            let length = match framing {
                Framing::Length(length) if self.io.input.len() >= length => {
                    return Ok((self.io.input.split_to(length).freeze(), held));
                }
                Framing::Length(_) => self.io.input.len(),
                Framing::Chunked => {
                    let (chunked, body) = &mut chunks;
                    if chunked.read(&mut self.io.input, body, limit)? {
                        return Ok((chunks.1.freeze(), held));
                    }
                    body.len()
                }
            };
            if !held.grow_to(&self.shared.bridge.memory, length) {
                return Err(self.shared.bridge.memory_error().into());
            }
            if !waiting {
                waiting = true;
                self.io.deadline.set(self.shared.config.body_timeout);
                if expects_continue && length == 0 {
                    self.send(b"HTTP/1.1 100 Continue\r\n\r\n", &[]).await?;
                    self.io.deadline.set(self.shared.config.body_timeout);
                }
            }
            self.fill_body().await?;
        }
    }

    /// Waits for more of a body, until the deadline. Errors: `BodyTimeout`, `Malformed` if the client stops midway.
    async fn fill_body(&mut self) -> Result<(), End> {
        match self.io.fill(None).await {
            Ok(()) => Ok(()),
            Err(io::End::TimedOut) => {
                let limit = self.shared.config.body_timeout.as_secs();
                Err(Error::BodyTimeout { limit }.into())
            }
            Err(io::End::Closed) => Err(Error::malformed("The body is cut short").into()),
            Err(io::End::Failed | io::End::Stopped) => Err(End::Gone),
        }
    }

    /// The next piece of a body, or `None` at its end. Errors: `BodyTimeout` for a piece, `BadRequest`, `Malformed` if the
    /// client stops midway.
    pub async fn piece(&mut self, body: &mut Body) -> Result<Option<Bytes>, End> {
        loop {
            match body.take(&mut self.io.input)? {
                Taken::Piece(piece) => return Ok(Some(piece)),
                Taken::End => return Ok(None),
                Taken::Nothing => {}
            }
            if std::mem::take(&mut body.waits) {
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n", &[]).await?;
            }
            self.io.deadline.set(self.shared.config.body_timeout);
            self.fill_body().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, whether it has ended, and the rest of the input.
    fn take(framing: Framing, pieces: &[&[u8]]) -> (Vec<u8>, bool, Vec<u8>) {
        let (mut body, mut input) = (Body::new(framing, false), BytesMut::new());
        let (mut taken, mut ended) = (Vec::new(), false);
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match body.take(&mut input).unwrap() {
                    Taken::Piece(piece) => taken.extend_from_slice(&piece),
                    Taken::Nothing => break,
                    Taken::End => {
                        ended = true;
                        break;
                    }
                }
            }
        }
        (taken, ended, input.to_vec())
    }

    #[test]
    fn a_body_is_the_same_however_it_is_split() {
        for (framing, whole) in [
            (Framing::Length(5), &b"hello, next"[..]),
            (Framing::Chunked, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n, next"),
        ] {
            let expected = (b"hello".to_vec(), true, b", next".to_vec());
            for split in 0..whole.len() {
                let (a, b) = whole.split_at(split);
                assert_eq!(take(framing, &[a, b]), expected, "{framing:?} {split}");
            }
        }
        assert_eq!(
            take(Framing::Length(0), &[b"x"]),
            (vec![], true, b"x".to_vec())
        );
        assert!(!take(Framing::Length(6), &[b"hello"]).1);
    }
}

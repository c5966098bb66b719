//! A connection without its socket: what `src/http/h1/mod.rs` does with the bytes that come.

use crate::oracle;
use authkv_base::error::Error;
use authkv_wire::h1::chunked::Chunked;
use authkv_wire::h1::head::{self, Finder, Framing, Request};
use bytes::{Buf, Bytes, BytesMut};
use std::mem::Discriminant;

/// Bytes of a body.
const BODY_MAX: usize = 1000;
/// Bytes of empty lines that are skipped.
const SKIPPED_MAX: usize = 4;

/// What came of all the bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Request(Box<Request>),
    Body(Bytes),
    /// Nothing is read after it.
    Refused(Discriminant<Error>),
    /// The bytes end within a request; so many of them are not read yet.
    Cut(usize),
}

#[derive(Default)]
pub struct Connection {
    input: BytesMut,
    skipped: usize,
    finder: Finder,
    /// The body that is being read.
    body: Option<Body>,
}

struct Body {
    framing: Framing,
    chunked: Chunked,
    /// As it came, and as it is meant.
    raw: Vec<u8>,
    read: BytesMut,
}

impl Connection {
    pub fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let (mut connection, mut events) = (Self::default(), Vec::new());
        for piece in pieces {
            connection.input.extend_from_slice(piece);
            loop {
                match connection.next() {
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => break,
                    Err(error) => {
                        events.push(Event::Refused(std::mem::discriminant(&error)));
                        return events;
                    }
                }
            }
        }
        events.push(Event::Cut(connection.input.len()));
        events
    }

    /// The next event of the bytes that are here, or `None` where more are needed.
    fn next(&mut self) -> Result<Option<Event>, Error> {
        match self.body.take() {
            Some(body) => self.body(body),
            None => self.head(),
        }
    }

    fn head(&mut self) -> Result<Option<Event>, Error> {
        let empty = head::empty_lines(&self.input).min(SKIPPED_MAX - self.skipped);
        self.input.advance(empty);
        self.skipped += empty;
        let Some(end) = self.finder.find(&self.input)? else {
            return Ok(None);
        };
        let raw = self.input.split_to(end).freeze();
        let request = head::parse(&raw)?;
        oracle::check_head(&raw, &request);
        crate::find(&request.head.method, request.head.path());
        (self.skipped, self.finder) = (0, Finder::default());
        self.body = Some(Body {
            framing: request.framing,
            chunked: Chunked::default(),
            raw: Vec::new(),
            read: BytesMut::new(),
        });
        Ok(Some(Event::Request(Box::new(request))))
    }

    fn body(&mut self, mut body: Body) -> Result<Option<Event>, Error> {
        let read = match body.framing {
            Framing::Length(length) if length > BODY_MAX => {
                return Err(Error::InputTooLarge { limit: BODY_MAX })
            }
            Framing::Length(length) if length > self.input.len() => None,
            Framing::Length(length) => Some(self.input.split_to(length)),
            Framing::Chunked => {
                let before = self.input.clone();
                let whole = body
                    .chunked
                    .read(&mut self.input, &mut body.read, BODY_MAX)?;
                let taken = before.len() - self.input.len();
                body.raw.extend_from_slice(&before[..taken]);
                whole.then(|| {
                    assert_eq!(oracle::joined(&body.raw), body.read);
                    std::mem::take(&mut body.read)
                })
            }
        };
        match read {
            Some(read) => Ok(Some(Event::Body(read.freeze()))),
            None => {
                self.body = Some(body);
                Ok(None)
            }
        }
    }
}

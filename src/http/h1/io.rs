//! The bytes of a connection, with its deadline. HTTP workers only.

use super::super::deadline::Deadline;
use super::super::outgoing::Outgoing;
use super::super::response::reason;
use super::super::stop::Stop;
use bytes::{Buf, BytesMut};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are read at a time. The buffer belongs to the thread, so that an idle connection needs none.
const READ: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
    static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Why no more bytes can be read.
pub enum End {
    /// The client has closed its side.
    Closed,
    /// The deadline has passed.
    TimedOut,
    /// The server is stopping.
    Stopped,
    Failed,
}

/// What a client does while it waits for its answer.
pub enum Watched {
    There,
    /// The client has closed its side.
    Closed,
    Failed,
}

/// A stream, and the bytes that were read and not used yet.
pub struct Io<S> {
    stream: S,
    pub input: BytesMut,
    pub deadline: Deadline,
    /// The client has closed its side.
    pub closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    pub fn new(stream: S, time: Duration) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            deadline: Deadline::new(time),
            closed: false,
        }
    }

    /// Waits for more bytes, until the deadline or until `stop`.
    pub async fn fill(&mut self, mut stop: Option<&mut Stop>) -> Result<(), End> {
        if self.input.is_empty() {
            // The old buffer may be the remainder of a large one.
            self.input = BytesMut::new();
        }
        poll_fn(|context| {
            if let Poll::Ready(read) = self.poll_read(context, READ) {
                return Poll::Ready(read);
            }
            if stop
                .as_mut()
                .is_some_and(|stop| stop.poll(context).is_ready())
            {
                return Poll::Ready(Err(End::Stopped));
            }
            ready!(self.deadline.poll(context));
            Poll::Ready(Err(End::TimedOut))
        })
        .await
    }

    /// Reads at most `max` bytes.
    fn poll_read(&mut self, context: &mut Context<'_>, max: usize) -> Poll<Result<(), End>> {
        if self.closed {
            return Poll::Ready(Err(End::Closed));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let length = scratch.len().min(max);
            let mut read = ReadBuf::new(&mut scratch[..length]);
            let result = ready!(Pin::new(&mut self.stream).poll_read(context, &mut read));
            self.input.extend_from_slice(read.filled());
            Poll::Ready(match (result, read.filled().len()) {
                (Err(_), _) => Err(End::Failed),
                (Ok(()), 0) => {
                    self.closed = true;
                    Err(End::Closed)
                }
                (Ok(()), _) => Ok(()),
            })
        })
    }

    /// Checks on a client that waits for its answer. Reads what it sends meanwhile, up to `max` bytes.
    pub fn watch(&mut self, context: &mut Context<'_>, max: usize) -> Watched {
        while !self.closed && self.input.len() < max {
            match self.poll_read(context, max - self.input.len()) {
                Poll::Ready(Err(End::Failed)) => return Watched::Failed,
                Poll::Ready(_) => {}
                Poll::Pending => return Watched::There,
            }
        }
        match self.closed {
            true => Watched::Closed,
            false => Watched::There,
        }
    }

    /// Writes both. If the client does not take the bytes at once, it gets `time` from then on.
    pub async fn write(&mut self, first: &[u8], second: &[u8], time: Duration) -> Result<(), End> {
        let mut waits = false;
        for bytes in [first, second] {
            let mut written = 0;
            while written < bytes.len() {
                written += poll_fn(|context| {
                    let stream = Pin::new(&mut self.stream);
                    match stream.poll_write(context, &bytes[written..]) {
                        Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(End::Failed)),
                        Poll::Ready(Ok(length)) => Poll::Ready(Ok(length)),
                        Poll::Pending => {
                            self.deadline.set_once(&mut waits, time);
                            ready!(self.deadline.poll(context));
                            Poll::Ready(Err(End::TimedOut))
                        }
                    }
                })
                .await?;
            }
        }
        poll_fn(
            |context| match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(flushed) => Poll::Ready(flushed.map_err(|_| End::Failed)),
                Poll::Pending => {
                    self.deadline.set_once(&mut waits, time);
                    ready!(self.deadline.poll(context));
                    Poll::Ready(Err(End::TimedOut))
                }
            },
        )
        .await
    }

    /// Writes as much as the client takes at once, and leaves the rest in `bytes`.
    pub async fn offer(&mut self, bytes: &mut BytesMut) -> Result<(), End> {
        poll_fn(|context| {
            while !bytes.is_empty() {
                match Pin::new(&mut self.stream).poll_write(context, bytes) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(End::Failed)),
                    Poll::Ready(Ok(length)) => bytes.advance(length),
                    Poll::Pending => break,
                }
            }
            // Bytes that are not flushed now go out with the next ones.
            let _ = Pin::new(&mut self.stream).poll_flush(context);
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Closes the server's side, until the deadline.
    pub async fn shut_down(&mut self) -> Result<(), End> {
        poll_fn(
            |context| match Pin::new(&mut self.stream).poll_shutdown(context) {
                Poll::Ready(done) => Poll::Ready(done.map_err(|_| End::Failed)),
                Poll::Pending => {
                    ready!(self.deadline.poll(context));
                    Poll::Ready(Err(End::TimedOut))
                }
            },
        )
        .await
    }
}

/// The head of a response, with room for `more` bytes of the body. `connection` is the field `Connection`, or empty. `old`:
/// an HTTP/1.0 client, which knows no chunks.
pub fn head(outgoing: &Outgoing, connection: &str, more: usize, old: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + more);
    let mut number = itoa::Buffer::new();
    let response = &outgoing.response;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(number.format(response.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(response.status).as_bytes());
    for (name, value) in &response.headers {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
    }
    let streams = outgoing.stream.is_some();
    if streams && !old {
        out.extend_from_slice(b"\r\nTransfer-Encoding: chunked");
    }
    if let Some(length) = response.content_length(streams) {
        out.extend_from_slice(b"\r\nContent-Length: ");
        out.extend_from_slice(number.format(length).as_bytes());
    }
    out.extend_from_slice(b"\r\nDate: ");
    DATE.with_borrow_mut(|(second, text)| {
        let now = SystemTime::now();
        let current = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if *second != current || text.is_empty() {
            *second = current;
            *text = httpdate::fmt_http_date(now);
        }
        out.extend_from_slice(text.as_bytes());
    });
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(connection.as_bytes());
    out.extend_from_slice(b"\r\n");
    out
}

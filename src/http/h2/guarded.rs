//! The stream under hyper's HTTP/2. Input passes the gate. Between the frames of the output go the answers `100 Continue`,
//! which hyper does not send. HTTP workers only.

use authkv_wire::h2::gate::{
    Frame, Gate, CONTINUATION, END_HEADERS, FRAME_HEAD, HEADERS, PUSH_PROMISE,
};
use bytes::{Buf, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{ready, Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are read at a time.
const READ: usize = 16 * 1024;
/// `:status: 100`, with the name by index 8 of the static table (RFC 7541 §6.2.2).
const CONTINUE: [u8; 5] = [0x08, 0x03, b'1', b'0', b'0'];

/// The streams whose clients wait for `100 Continue`.
#[derive(Default)]
pub struct Interim(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    streams: Vec<u32>,
    /// The waker of the connection's task.
    waker: Option<Waker>,
}

impl Interim {
    /// Queues `100 Continue` (RFC 9110 §10.1.1) for a stream.
    pub fn send(&self, stream: u32) {
        let mut waiting = self.waiting();
        waiting.streams.push(stream);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream with its gate.
pub struct Guarded<S> {
    stream: S,
    gate: Gate,
    /// Input that hyper has not read yet.
    input: BytesMut,
    interim: Arc<Interim>,
    /// Interim answers that are being sent.
    own: BytesMut,
    sent: Sent,
}

/// How much of the current output frame was sent.
#[derive(Default)]
struct Sent {
    head: [u8; FRAME_HEAD],
    /// Bytes of the frame's head that were sent.
    have: usize,
    /// Bytes of the payload that are left.
    left: usize,
    /// The next frame continues the field block of this one.
    in_block: bool,
}

impl Sent {
    /// Whether a frame of another kind may come now.
    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0 && !self.in_block
    }

    /// How many bytes are left of the current frame, as far as that is known.
    fn rest(&self) -> usize {
        match self.left {
            0 => FRAME_HEAD - self.have,
            left => left,
        }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (here, rest) = bytes.split_at(bytes.len().min(self.rest()));
            bytes = rest;
            if self.left > 0 {
                self.left -= here.len();
                continue;
            }
            self.head[self.have..self.have + here.len()].copy_from_slice(here);
            self.have += here.len();
            if self.have == FRAME_HEAD {
                let frame = Frame::read(&self.head);
                (self.have, self.left) = (0, frame.length);
                if matches!(frame.kind, HEADERS | PUSH_PROMISE | CONTINUATION) {
                    self.in_block = frame.flags & END_HEADERS == 0;
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// `header_max` is how many bytes the fields of a head may have.
    pub fn new(stream: S, header_max: usize, interim: Arc<Interim>) -> Self {
        Self {
            stream,
            gate: Gate::new(header_max),
            input: BytesMut::new(),
            interim,
            own: BytesMut::new(),
            sent: Sent::default(),
        }
    }

    /// Sends interim answers, if another frame may come now.
    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sent.is_between() {
            for stream in self.interim.waiting().streams.drain(..) {
                let length = CONTINUE.len() as u8;
                self.own
                    .extend_from_slice(&[0, 0, length, HEADERS, END_HEADERS]);
                self.own.extend_from_slice(&stream.to_be_bytes());
                self.own.extend_from_slice(&CONTINUE);
            }
        }
        while !self.own.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.own);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => self.own.advance(length),
            }
            if self.own.is_empty() {
                self.own = BytesMut::new();
                // Not awaited: the bytes go out with the next output at the latest.
                let _ = Pin::new(&mut self.stream).poll_flush(context)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn has_own(&self) -> bool {
        !self.own.is_empty() || !self.interim.waiting().streams.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Interim answers wake the task that reads.
        this.interim.waiting().waker = Some(context.waker().clone());
        if let Poll::Ready(Err(error)) = this.poll_own(context) {
            return Poll::Ready(Err(error));
        }
        while this.input.is_empty() && !this.gate.is_over {
            let mut bytes = [const { MaybeUninit::uninit() }; READ];
            let mut read = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.gate.take(read.filled(), &mut this.input);
        }
        let here = this.input.len().min(buffer.remaining());
        buffer.put_slice(&this.input[..here]);
        this.input.advance(here);
        if this.input.is_empty() {
            this.input = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_own(context))?;
        if this.has_own() {
            // Only up to the end of the frame.
            bytes = &bytes[..bytes.len().min(this.sent.rest())];
        }
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.sent.add(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.has_own() {
            let first = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(context, first.map_or(&[], |piece| piece));
        }
        let this = &mut *self;
        let stream = Pin::new(&mut this.stream);
        let written = ready!(stream.poll_write_vectored(context, pieces))?;
        let mut left = written;
        for piece in pieces {
            let here = left.min(piece.len());
            this.sent.add(&piece[..here]);
            left -= here;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

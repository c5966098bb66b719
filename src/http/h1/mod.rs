//! HTTP/1.1 (RFC 9112) on one connection: reads, executes and answers requests one after another, within their limits. HTTP
//! workers only.
//!
//! hyper is not used here: it accepts ambiguous framing (bare LF, repeated fields), which allows smuggling, and closes on
//! errors without an explanation.

mod body;
mod io;
mod stream;

use super::exchange::Exchange;
use super::outgoing::Outgoing;
use super::shared::Shared;
use super::stop::Stop;
use super::stream::Course;
use crate::bridge::CancelFlag;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_base::origin::Peer;
use authkv_wire::h1::head::{self, Finder, Request};
use authkv_wire::head::Head;
use authkv_wire::routes;
use body::Body;
use bytes::{Buf, Bytes};
use io::{Io, Watched};
use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long input is discarded after an answer that ends the connection. Without this the client could get a reset instead
/// of the answer.
const LINGER: Duration = Duration::from_secs(5);
/// How long a client that has closed its side is expected to wait for its answer.
const GRACE: Duration = Duration::from_secs(1);
/// The last bytes of an answer are sent after the request stops counting, so that a client with a whole answer can send its
/// next request at once. Their memory still counts.
const LAST: usize = 16 * 1024;
/// How many bytes are read ahead while a request is answered.
const AHEAD_MAX: usize = 16 * 1024;

/// Why a connection ends.
enum End {
    /// The client has gone, or took its answer too slowly.
    Gone,
    /// The client gets this error.
    Refused(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        End::Refused(error)
    }
}

/// One connection.
struct Connection<'a, S> {
    io: Io<S>,
    shared: &'a Arc<Shared>,
    peer: &'a Peer,
    stop: Stop,
    /// A whole head that was refused.
    refused: Bytes,
}

/// Serves a connection until it ends.
pub async fn serve<S>(stream: S, shared: &Arc<Shared>, peer: &Peer, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection {
        io: Io::new(stream, shared.config.idle_timeout),
        shared,
        peer,
        stop,
        refused: Bytes::new(),
    };
    loop {
        let served = match connection.head().await {
            Ok(Some(request)) => connection.serve_one(request).await,
            // No answer is expected.
            Ok(None) => return,
            Err(End::Gone) => return,
            Err(End::Refused(error)) => {
                let begun = connection.begun();
                let outgoing = Exchange::refuse_without_head(shared, peer, begun, error);
                let _ = connection.write(outgoing, false, false).await;
                Ok(false)
            }
        };
        match served {
            Ok(true) => {}
            Ok(false) => return connection.linger().await,
            Err(_) => return,
        }
    }
}

/// A whole answer that ends the connection, as bytes.
pub fn whole(outgoing: &Outgoing) -> Vec<u8> {
    let body = &outgoing.response.body;
    let mut out = io::head(outgoing, "Connection: close\r\n", body.len(), false);
    out.extend_from_slice(body);
    out
}

/// Lets other connections of the worker run first. Most are at the same step, so the processor's caches serve all of them.
/// `tokio::task::yield_now` would poll the sockets first.
async fn others_first() {
    let mut done = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut done, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The field `Connection`, or nothing.
fn connection(keep_alive: bool, old: bool) -> &'static str {
    match (keep_alive, old) {
        (true, false) => "",
        (true, true) => "Connection: keep-alive\r\n",
        (false, _) => "Connection: close\r\n",
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// The known part of a refused head, if it tells how to render the answer.
    fn begun(&self) -> Option<Head> {
        let raw = match self.refused.is_empty() {
            true => &self.io.input[..],
            false => &self.refused,
        };
        let (head, is_whole) = head::begun(raw)?;
        (is_whole || routes::tells_profile(head.path())).then_some(head)
    }

    /// The next head, or `None` if the connection ends before its first byte.
    async fn head(&mut self) -> Result<Option<Request>, End> {
        let config = &self.shared.config;
        let mut finder = Finder::default();
        let mut skipped = 0;
        // Whether the deadline of an idle client was set, and that of one that has begun a head.
        let (mut is_idle, mut has_begun) = (false, false);
        loop {
            let empty = head::empty_lines(&self.io.input).min(4 - skipped);
            self.io.input.advance(empty);
            skipped += empty;
            let idle = self.io.input.is_empty() && !has_begun;
            if !self.io.input.is_empty() {
                let found = finder.find(&self.io.input)?;
                let length = found.unwrap_or(self.io.input.len());
                if length > config.header_max || (found.is_none() && length == config.header_max) {
                    let limit = config.header_max;
                    return Err(Error::HeaderTooLarge {
                        limit,
                        unit: "bytes",
                    }
                    .into());
                }
                if let Some(end) = found {
                    let raw = self.io.input.split_to(end).freeze();
                    return match head::parse(&raw) {
                        Ok(request) => Ok(Some(request)),
                        Err(error) => {
                            self.refused = raw;
                            Err(error.into())
                        }
                    };
                }
            }
            match idle {
                true => self.io.deadline.set_once(&mut is_idle, config.idle_timeout),
                false => self
                    .io
                    .deadline
                    .set_once(&mut has_begun, config.header_timeout),
            }
            let stop = idle.then_some(&mut self.stop);
            match self.io.fill(stop).await {
                Ok(()) if idle => others_first().await,
                Ok(()) => {}
                Err(io::End::TimedOut) if !idle => {
                    let limit = config.header_timeout.as_secs();
                    return Err(Error::HeaderTimeout { limit }.into());
                }
                Err(io::End::TimedOut | io::End::Stopped) => return Ok(None),
                Err(io::End::Closed) if idle => return Ok(None),
                Err(io::End::Closed) => {
                    return Err(Error::BadRequest("the header is cut short").into())
                }
                Err(io::End::Failed) => return Err(End::Gone),
            }
        }
    }

    /// Answers a request. Returns whether the connection stays open.
    async fn serve_one(&mut self, request: Request) -> Result<bool, End> {
        let Request {
            framing,
            mut keep_alive,
            old,
            expects_continue,
            head,
        } = request;
        let gone = CancelFlag::default();
        let exchange = Exchange::begin(self.shared, self.peer, &gone, head);
        let outgoing = match Course::of(exchange) {
            Course::Whole(mut exchange) => match exchange.body_max() {
                Some(limit) => match self
                    .invited_body(&mut exchange, framing, limit, expects_continue)
                    .await
                {
                    Ok((body, held)) => {
                        let answer = pin!(exchange.answer(body, held));
                        self.answer(&gone, answer).await?
                    }
                    Err(End::Refused(error)) => {
                        keep_alive = false;
                        exchange.refuse(error)
                    }
                    Err(End::Gone) => return Err(End::Gone),
                },
                None => {
                    keep_alive &= self.skip(framing);
                    let answer = pin!(exchange.answer(Bytes::new(), Reservation::default()));
                    self.answer(&gone, answer).await?
                }
            },
            Course::Stream(answer) => {
                keep_alive &= self.skip(framing);
                self.answer(&gone, pin!(answer)).await?
            }
            Course::Import(begun) => {
                let body = Body::new(framing, expects_continue);
                // Boxed, because it is large and few requests need it.
                return Box::pin(self.import(begun, &gone, body, keep_alive, old)).await;
            }
        };
        keep_alive &= self.stays();
        others_first().await;
        self.write(outgoing, keep_alive, old).await
    }

    /// Whether the connection may stay open after an answer.
    fn stays(&self) -> bool {
        let over = self.io.closed && self.io.input.is_empty();
        !self.shared.leaving.load(Ordering::Relaxed) && !over
    }

    /// Waits for an answer. Gives up if the connection fails, or if the client closed its side long ago and tx has not
    /// begun.
    async fn answer<T>(
        &mut self,
        gone: &CancelFlag,
        mut answer: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, End> {
        let io = &mut self.io;
        let mut in_grace = false;
        std::future::poll_fn(|context| {
            if let Poll::Ready(response) = answer.as_mut().poll(context) {
                return Poll::Ready(Ok(response));
            }
            match io.watch(context, AHEAD_MAX) {
                Watched::Failed => return Poll::Ready(Err(End::Gone)),
                Watched::There => return Poll::Pending,
                Watched::Closed => {}
            }
            if !in_grace {
                in_grace = true;
                io.deadline.set(GRACE);
            }
            if io.deadline.poll(context).is_ready() {
                gone.store(true, Ordering::Relaxed);
            }
            Poll::Pending
        })
        .await
    }

    /// Sends an answer. Returns whether the connection stays open.
    async fn write(
        &mut self,
        mut outgoing: Outgoing,
        keep_alive: bool,
        old: bool,
    ) -> Result<bool, End> {
        if outgoing.stream.is_some() && !outgoing.head_only {
            // Boxed, because it is large and few answers need it.
            return Box::pin(self.stream(outgoing, keep_alive, old)).await;
        }
        let body: &[u8] = match outgoing.head_only {
            true => &[],
            false => &outgoing.response.body,
        };
        let connection = connection(keep_alive, old);
        let mut out = io::head(&outgoing, connection, body.len().min(LAST), old);
        // A large body is not copied behind the head, except for its end.
        let (large, last) = match body.len() {
            ..=LAST => (&[][..], body),
            length => body.split_at(length - LAST),
        };
        if large.is_empty() {
            out.extend_from_slice(last);
            (outgoing.response.body, outgoing.in_flight) = (Bytes::new(), None);
            self.send(&out, &[]).await?;
        } else {
            self.send(&out, large).await?;
            let last = outgoing.response.body.split_off(large.len());
            outgoing.in_flight = None;
            self.send(&last, &[]).await?;
        }
        Ok(keep_alive)
    }

    /// Ends the connection so that the client gets its last answer: closing a socket with unread bytes would reset it.
    async fn linger(&mut self) {
        self.io.deadline.set(LINGER);
        if self.io.shut_down().await.is_err() {
            return;
        }
        while !self.io.deadline.is_over() && self.io.fill(Some(&mut self.stop)).await.is_ok() {
            self.io.input.clear();
        }
    }
}

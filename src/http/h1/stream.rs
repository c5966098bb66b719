//! Answers in pieces, and imports, in HTTP/1.1. HTTP workers only.

use super::super::outgoing::Outgoing;
use super::super::piece::{Piece, Stream, Truncated};
use super::super::stream::import::{Importing, Step};
use super::body::Body;
use super::io::{self, Watched};
use super::{connection, Connection, End, AHEAD_MAX};
use crate::bridge::CancelFlag;
use authkv_base::error::Error;
use authkv_wire::h1::chunked::{begin_chunk, end_chunk, last_chunk};
use bytes::{Bytes, BytesMut};
use std::future::{poll_fn, ready, Future};
use std::pin::pin;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};

/// The largest piece that is copied into its chunk, to be sent in one write.
const COPIED: usize = 16 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Sends an answer in pieces: as chunks (RFC 9112 §7.1), or to an HTTP/1.0 client until the connection closes. Returns
    /// whether the connection stays open.
    pub async fn stream(
        &mut self,
        mut outgoing: Outgoing,
        keep_alive: bool,
        old: bool,
    ) -> Result<bool, End> {
        // After an endless answer the client sends no further request.
        let is_endless = outgoing.stream.as_ref().is_some_and(|one| one.is_endless);
        let keep_alive = keep_alive && !old && !is_endless;
        let mut out = io::head(&outgoing, connection(keep_alive, old), COPIED, old);
        let Some(mut stream) = outgoing.stream.take() else {
            return Ok(false);
        };
        while let Some(piece) = self.next(&mut stream).await? {
            // The client has to notice that the answer is incomplete.
            let Ok(piece) = piece else {
                return Err(End::Gone);
            };
            let bytes = &piece.bytes;
            // An empty chunk would end the answer.
            if bytes.is_empty() {
                continue;
            }
            begin_chunk(&mut out, bytes.len(), old);
            if bytes.len() <= COPIED {
                out.extend_from_slice(bytes);
            } else {
                self.send(&out, bytes).await?;
                out.clear();
            }
            // Not together with the next piece: some clients pass a chunk on only once they see its end.
            end_chunk(&mut out, old);
            self.send(&out, &[]).await?;
            out.clear();
        }
        last_chunk(&mut out, old);
        // The client may send its next request once it sees the end.
        outgoing.in_flight = None;
        self.send(&out, &[]).await?;
        Ok(keep_alive && self.stays())
    }

    pub async fn send(&mut self, first: &[u8], second: &[u8]) -> Result<(), End> {
        let time = self.shared.config.write_time(first.len() + second.len());
        let written = self.io.write(first, second, time).await;
        written.map_err(|_| End::Gone)
    }

    /// The next piece of an answer. Gives up if the connection fails, or if the answer is endless and the client has closed
    /// its side.
    async fn next(&mut self, stream: &mut Stream) -> Result<Option<Result<Piece, Truncated>>, End> {
        let io = &mut self.io;
        poll_fn(|context| {
            if let Poll::Ready(piece) = stream.poll_next(context) {
                return Poll::Ready(Ok(piece));
            }
            match io.watch(context, AHEAD_MAX) {
                Watched::Failed => Poll::Ready(Err(End::Gone)),
                Watched::Closed if stream.is_endless => Poll::Ready(Err(End::Gone)),
                Watched::Closed | Watched::There => Poll::Pending,
            }
        })
        .await
    }

    /// Answers a request for an import. Returns whether the connection stays open.
    pub async fn import(
        &mut self,
        begun: impl Future<Output = Result<Importing, Box<Outgoing>>>,
        gone: &CancelFlag,
        mut body: Body,
        keep_alive: bool,
        old: bool,
    ) -> Result<bool, End> {
        let begun = self.answer(gone, pin!(begun)).await?;
        let mut import = match begun {
            Ok(import) => import,
            Err(outgoing) => {
                let keep_alive = keep_alive && self.skip(body.framing) && self.stays();
                return self.write(*outgoing, keep_alive, old).await;
            }
        };
        // The answer's bytes that the client has not taken yet: it may send the whole body before it reads.
        let (mut opened, mut out) = (None, BytesMut::new());
        let ending = loop {
            let piece = tokio::select! {
                biased;
                error = import.stops() => Err(End::Refused(error)),
                _ = ready(()), if import.is_behind() => Ok(Some(Bytes::new())),
                piece = self.piece(&mut body) => piece,
            };
            let piece = match piece {
                Ok(piece) => Ok(piece),
                Err(End::Refused(error)) => Err(error),
                Err(End::Gone) => return Err(End::Gone),
            };
            match import.take(piece).await {
                Step::More => {}
                Step::Progress(line) if out.is_empty() => {
                    if opened.is_none() {
                        opened = import.open(Box::pin(futures_util::stream::empty()));
                        let connection = connection(keep_alive && !old, old);
                        let head = opened.iter();
                        head.for_each(|head| out.extend(io::head(head, connection, 0, old)));
                    }
                    chunk(&mut out, &mut opened, &line, None, old);
                }
                // Skipped, because the client has not taken the previous line.
                Step::Progress(_) => {}
                Step::Over(ending) => break ending,
            }
            let offered = self.io.offer(&mut out).await;
            offered.map_err(|_| End::Gone)?;
        };
        let keep_alive = keep_alive && body.ended && self.stays();
        if let Some(outgoing) = import.close(&ending) {
            return self.write(outgoing, keep_alive, old).await;
        }
        if let Some(stream) = opened.as_mut().and_then(|head| head.stream.as_mut()) {
            stream.received(import.received());
        }
        let line = import.last_line(&ending);
        chunk(&mut out, &mut opened, &line, ending.error(), old);
        let mut out = Vec::from(out);
        last_chunk(&mut out, old);
        // The client may send its next request once it sees the end.
        opened.iter_mut().for_each(|head| head.in_flight = None);
        self.send(&out, &[]).await?;
        Ok(keep_alive && !old)
    }
}

/// Adds a chunk, and counts it for the log.
fn chunk(
    out: &mut BytesMut,
    opened: &mut Option<Outgoing>,
    line: &[u8],
    error: Option<&Error>,
    old: bool,
) {
    let mut framed = Vec::with_capacity(line.len() + 16);
    begin_chunk(&mut framed, line.len(), old);
    framed.extend_from_slice(line);
    end_chunk(&mut framed, old);
    out.extend_from_slice(&framed);
    if let Some(stream) = opened.as_mut().and_then(|head| head.stream.as_mut()) {
        stream.sent(line.len(), error);
    }
}

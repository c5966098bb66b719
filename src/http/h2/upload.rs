//! The body of a request over HTTP/2. HTTP workers only.

use super::super::exchange::Exchange;
use super::super::shared::Shared;
use super::guarded::Interim;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A body that is being received.
pub struct Upload {
    body: Incoming,
    interim: Arc<Interim>,
    /// The stream on which the client waits for `100 Continue`.
    waiting: Option<u32>,
}

impl Upload {
    pub fn new(body: Incoming, interim: Arc<Interim>, waiting: Option<u32>) -> Self {
        Self {
            body,
            interim,
            waiting,
        }
    }

    /// The next piece, or `None` at the end. Sends `100 Continue` if the client waits for it. Errors: `Malformed` if the
    /// client stops midway.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = poll_fn(|context| {
                let frame = Pin::new(&mut self.body).poll_frame(context);
                // A client that sends the body unasked needs no `100 Continue` (RFC 9110 §10.1.1).
                if let Some(stream) = self.waiting.take().filter(|_| frame.is_pending()) {
                    self.interim.send(stream);
                }
                frame
            });
            let Some(frame) = frame.await else {
                return Ok(None);
            };
            let frame = frame.map_err(|_| Error::malformed("The body is cut short"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The whole body. If the client waits for `100 Continue`, its token is checked first. Errors: `Unauthenticated`, and
    /// those of `read`.
    pub async fn invited(
        self,
        exchange: &mut Exchange,
        shared: &Shared,
        limit: usize,
    ) -> Result<(Bytes, Reservation), Error> {
        // A body that is too large gets its own error first.
        let is_wanted = self.body.size_hint().lower() <= limit as u64;
        if self.waiting.is_some() && is_wanted {
            if let Err(error) = exchange.invite() {
                self.discard();
                return Err(error);
            }
        }
        self.read(shared, limit).await
    }

    /// The whole body. Errors: `InputTooLarge` as soon as it is known to be too large, `BodyTimeout`, `Overloaded` if the
    /// memory for bodies is used up, `Malformed` if the client stops midway.
    async fn read(mut self, shared: &Shared, limit: usize) -> Result<(Bytes, Reservation), Error> {
        let time = shared.config.body_timeout;
        let late = Error::BodyTimeout {
            limit: time.as_secs(),
        };
        let read = tokio::time::timeout(time, self.read_all(shared, limit)).await;
        let read = read.unwrap_or(Err(late));
        if read.is_err() {
            self.discard();
        }
        read
    }

    async fn read_all(
        &mut self,
        shared: &Shared,
        limit: usize,
    ) -> Result<(Bytes, Reservation), Error> {
        let too_large = Error::InputTooLarge { limit };
        if self.body.size_hint().lower() > limit as u64 {
            return Err(too_large);
        }
        let bridge = shared.bridge;
        let (mut whole, mut held) = (BytesMut::new(), Reservation::default());
        while let Some(data) = self.piece().await? {
            if whole.len() + data.len() > limit {
                return Err(too_large);
            }
            whole.extend_from_slice(&data);
            if !held.grow_to(&bridge.memory, whole.len()) {
                return Err(bridge.memory_error());
            }
        }
        Ok((whole.freeze(), held))
    }

    /// Reads and discards a body for a while. A stream whose body is not read to its end is reset, which may lose the
    /// answer.
    pub fn discard(mut self) {
        const LINGER: Duration = Duration::from_secs(5);
        self.waiting = None;
        if !self.body.is_end_stream() {
            tokio::spawn(async move {
                let rest = async { while let Ok(Some(_)) = self.piece().await {} };
                let _ = tokio::time::timeout(LINGER, rest).await;
            });
        }
    }
}

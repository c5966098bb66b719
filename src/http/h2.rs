//! HTTP/2 (RFC 9113) on one connection, by hyper; only over TLS. HTTP workers only.

mod guarded;
mod import;
mod sent;
mod upload;

use super::exchange::Exchange;
use super::shared::Shared;
use super::stop::Stop;
use super::stream::Course;
use crate::bridge::CancelFlag;
use authkv_base::memory::Reservation;
use authkv_base::origin::Peer;
use authkv_wire::h2::heading::{Mark, MARK, MARK_SIZE};
use authkv_wire::head::Head;
use bytes::Bytes;
use guarded::{Guarded, Interim};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sent::{translate, Sent};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, Notify};
use upload::Upload;

/// How many bytes a client may send ahead, on a stream and on the connection.
const WINDOW: u32 = 256 * 1024;
/// How many bytes of an answer wait for the client, on a stream.
const PIECE: usize = 16 * 1024;

/// How long a client may take to leave after GOAWAY.
const GOODBYE: Duration = Duration::from_secs(1);

/// The activity on a connection.
#[derive(Default)]
struct Activity {
    /// How many requests have begun.
    begun: AtomicUsize,
    /// Requests whose answers are missing or not taken yet.
    open: AtomicUsize,
    /// Bytes of answers that the client has not taken yet.
    bytes: AtomicUsize,
    /// A client did not take an answer in time.
    stalled: Notify,
}

impl Activity {
    /// Returns once the connection was idle for `time`, at the latest after twice as long.
    async fn idle(&self, time: Duration) {
        loop {
            let before = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            let nothing_new = self.begun.load(Ordering::Relaxed) == before;
            if nothing_new && self.open.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

/// A request; it counts as open until it is dropped.
struct Open(Arc<Activity>);

impl Open {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(activity.clone())
    }

    /// Starts the time in which the client has to take these bytes. The caller drops the result once they are taken.
    fn expect_taken(&self, shared: &Shared, bytes: usize) -> oneshot::Sender<()> {
        let activity = self.0.clone();
        let waiting = activity.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let (taken, is_taken) = oneshot::channel();
        let time = shared.config.write_time(waiting);
        tokio::spawn(async move {
            // Otherwise a client that never opens its window would hold the answer for ever.
            if tokio::time::timeout(time, is_taken).await.is_err() {
                activity.stalled.notify_one();
            }
            activity.bytes.fetch_sub(bytes, Ordering::Relaxed);
        });
        taken
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, the client takes an answer too slowly, or it is idle.
pub async fn serve<S>(stream: S, shared: &Arc<Shared>, peer: &Peer, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = &shared.config;
    let activity = Arc::new(Activity::default());
    let interim = Arc::new(Interim::default());
    let stream = Guarded::new(stream, config.header_max, interim.clone());
    let service = service_fn(|request| {
        let interim = interim.clone();
        answer(
            shared.clone(),
            peer.clone(),
            activity.clone(),
            interim,
            request,
        )
    });
    let mut connection = pin!(http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_max)
        // The gate has refused larger heads already.
        .max_header_list_size((config.header_max + MARK_SIZE) as u32)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(PIECE)
        // A client that does not answer a ping has gone.
        .keep_alive_interval(config.idle_timeout)
        .keep_alive_timeout(config.write_timeout)
        .serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = activity.stalled.notified() => {}
        _ = activity.idle(config.idle_timeout) => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GOODBYE, connection).await;
        }
        _ = stop.leave() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                _ = activity.stalled.notified() => {}
            }
        }
    }
}

async fn answer(
    shared: Arc<Shared>,
    peer: Peer,
    activity: Arc<Activity>,
    interim: Arc<Interim>,
    request: Request<Incoming>,
) -> Result<hyper::Response<Sent>, Infallible> {
    let open = Open::begin(&activity);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = Head::new(parts.method, Bytes::copy_from_slice(path.as_bytes()));
    for (name, value) in &parts.headers {
        head.add(name.as_str(), || Bytes::copy_from_slice(value.as_bytes()));
    }
    let mark = parts.headers.get(MARK).and_then(|mark| mark.to_str().ok());
    let mark = mark.map(Mark::read).unwrap_or_default();
    let exchange = Exchange::begin(&shared, &peer, &CancelFlag::default(), Box::new(head));
    let upload = Upload::new(body, interim, mark.waiting);
    if let Some(fault) = mark.fault {
        upload.discard();
        let outgoing = exchange.refuse(fault.error(shared.config.header_max));
        return Ok(translate(outgoing, open, shared));
    }
    let outgoing = match Course::of(exchange) {
        Course::Whole(mut exchange) => match exchange.body_max() {
            Some(limit) => match upload.invited(&mut exchange, &shared, limit).await {
                Ok((body, held)) => exchange.answer(body, held).await,
                Err(error) => exchange.refuse(error),
            },
            None => {
                upload.discard();
                exchange.answer(Bytes::new(), Reservation::default()).await
            }
        },
        Course::Stream(answer) => {
            upload.discard();
            answer.await
        }
        // Boxed, because it is large and few requests need it.
        Course::Import(begun) => {
            Box::pin(import::answer(
                begun.await,
                upload,
                shared.config.body_timeout,
            ))
            .await
        }
    };
    Ok(translate(outgoing, open, shared))
}

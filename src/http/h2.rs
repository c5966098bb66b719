//! HTTP/2 (RFC 9113) on one connection, by hyper; only over TLS. HTTP workers only.

use super::exchange::Exchange;
use super::head::Head;
use super::response::Response;
use super::site::{InFlight, Site};
use super::worker::Stop;
use crate::bridge::Gone;
use crate::error::Error;
use crate::memory::Held;
use crate::origin::Peer;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue, CONTENT_LENGTH};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, Notify};

/// Bytes a client may send ahead, on a stream and on the connection.
const WINDOW: u32 = 256 * 1024;
/// Bytes of an answer that wait for the client to take them, on a stream.
const PIECE: usize = 16 * 1024;

/// How long a client that was told to go away may take to do so.
const GOODBYE: Duration = Duration::from_secs(1);

/// What happens on a connection.
#[derive(Default)]
struct Activity {
    /// Requests so far.
    begun: AtomicUsize,
    /// Requests that have no answer, or one that is not taken yet.
    open: AtomicUsize,
    /// Bytes of answers that are not taken yet.
    bytes: AtomicUsize,
    /// An answer was not taken in time.
    stalled: Notify,
}

impl Activity {
    /// Returns once nothing has happened for `time`; at the latest after twice of it.
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

/// A request that counts until it is dropped.
struct Stream(Arc<Activity>);

impl Stream {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, until the client does not take an answer in time, or until it is idle.
pub async fn serve<S>(stream: S, site: &Arc<Site>, peer: &Peer, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = &site.config;
    let activity = Arc::new(Activity::default());
    let service =
        service_fn(|request| answer(site.clone(), peer.clone(), activity.clone(), request));
    let mut connection = pin!(http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_max)
        .max_header_list_size(config.header_max as u32)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(PIECE)
        // A client that does not answer a ping is gone.
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
    site: Arc<Site>,
    peer: Peer,
    activity: Arc<Activity>,
    request: Request<Incoming>,
) -> Result<hyper::Response<Sent>, Infallible> {
    let stream = Stream::begin(&activity);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = Head::new(parts.method, Bytes::copy_from_slice(path.as_bytes()));
    for (name, value) in &parts.headers {
        head.add(name.as_str(), || Bytes::copy_from_slice(value.as_bytes()));
    }
    let exchange = Exchange::begin(&site, &peer, &Gone::default(), head);
    let response = match exchange.body_max() {
        Some(limit) => match read(&site, body, limit).await {
            Ok((body, held)) => exchange.answer(body, held).await,
            Err(error) => exchange.refuse(error),
        },
        None => {
            discard(body);
            exchange.answer(Bytes::new(), Held::default()).await
        }
    };
    let length = response.body.len();
    let waiting = activity.bytes.fetch_add(length, Ordering::Relaxed) + length;
    let (taken, is_taken) = oneshot::channel();
    let time = site.config.write_time(waiting);
    tokio::spawn(async move {
        // A client that leaves an answer in its window would hold it for ever.
        if tokio::time::timeout(time, is_taken).await.is_err() {
            activity.stalled.notify_one();
        }
        activity.bytes.fetch_sub(length, Ordering::Relaxed);
        drop(stream);
    });
    Ok(translate(response, taken))
}

/// The whole body. Errors: `InputTooLarge` as soon as that is known, `BodyTimeout`, `Overloaded` where the memory
/// for bodies is used up, `Malformed` where the client stops midway.
async fn read(site: &Site, mut body: Incoming, limit: usize) -> Result<(Bytes, Held), Error> {
    let time = site.config.body_timeout;
    let late = Error::BodyTimeout {
        limit: time.as_secs(),
    };
    let read = tokio::time::timeout(time, read_all(site, &mut body, limit)).await;
    let read = read.unwrap_or(Err(late));
    if read.is_err() {
        discard(body);
    }
    read
}

/// Reads a body and throws it away, for a while: a stream whose body is not read to its end is reset, and the answer
/// may be lost with it.
fn discard(mut body: Incoming) {
    const LINGER: Duration = Duration::from_secs(5);
    if !body.is_end_stream() {
        tokio::spawn(async move {
            let rest = async { while let Some(Ok(_)) = body.frame().await {} };
            let _ = tokio::time::timeout(LINGER, rest).await;
        });
    }
}

async fn read_all(site: &Site, body: &mut Incoming, limit: usize) -> Result<(Bytes, Held), Error> {
    let too_large = Error::InputTooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    let bridge = &site.instance.bridge;
    let (mut whole, mut held) = (BytesMut::new(), Held::default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::malformed("The body is cut short"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
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

/// A body with what it holds of the limits.
struct Sent {
    body: Bytes,
    _held: Held,
    _in_flight: Option<InFlight>,
    /// Dropped once hyper has taken all of it.
    _taken: oneshot::Sender<()>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // hyper asks for the next piece when the client has taken the last.
        let piece = self.body.len().min(PIECE);
        Poll::Ready(match piece {
            0 => None,
            _ => Some(Ok(Frame::data(self.body.split_to(piece)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}

fn translate(response: Response, taken: oneshot::Sender<()>) -> hyper::Response<Sent> {
    let length = response.body.len();
    let mut translated = hyper::Response::new(Sent {
        body: match response.head_only {
            true => Bytes::new(),
            false => response.body,
        },
        _held: response.held,
        _in_flight: response.in_flight,
        _taken: taken,
    });
    *translated.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = translated.headers_mut();
    for (name, value) in &response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    if response.head_only {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    translated
}

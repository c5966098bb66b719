//! A worker: one thread, one event loop, its share of the connections.

use super::handler::handle;
use crate::instance::Instance;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Bytes that are read at once, and the most that a header block may take.
const READ_BUFFER: usize = 8 * 1024;

/// What the workers share.
#[derive(Clone)]
pub struct Shared {
    pub instance: &'static Instance,
    /// Says when to stop.
    pub stopped: watch::Receiver<bool>,
    /// A permit for each connection that may be open; the connection owns it.
    pub permits: Arc<Semaphore>,
}

/// The main function of the thread. Returns once it is told to stop and the connections have ended.
pub fn run(shared: Shared, listener: TcpListener) {
    let instance = shared.instance;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(shared, listener)));
    if let Err(e) = served {
        instance
            .bridge
            .log(format!("an HTTP worker has ended: {e}"));
    }
}

async fn serve(shared: Shared, listener: TcpListener) -> io::Result<()> {
    let instance = shared.instance;
    let mut stopped = shared.stopped;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        tokio::select! {
            _ = until(&mut stopped) => break,
            accepted = accept(&listener, &shared.permits) => match accepted {
                Ok((stream, permit)) => {
                    failing = false;
                    connections.spawn(serve_connection(instance, stream, permit, stopped.clone()));
                }
                Err(e) => {
                    // Out of descriptors, most likely: wait for connections to end.
                    if !failing {
                        instance.bridge.log(format!("cannot accept connections: {e}"));
                    }
                    failing = true;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Connections that do not end in time are dropped.
    let _ = tokio::time::timeout(instance.config.shutdown_timeout, ended).await;
    Ok(())
}

/// The next connection, once there is a permit for it.
async fn accept(
    listener: &tokio::net::TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = permits
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn serve_connection(
    instance: &'static Instance,
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) {
    // It fails for a connection that is gone, which the first read finds as well.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(instance, request));
    let mut connection = pin!(http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(instance.config.http_header_timeout)
        .max_buf_size(READ_BUFFER)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service));
    // What a client does to its own connection is no news.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = until(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Returns once the workers are to stop.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // It fails where the sender is gone, which means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

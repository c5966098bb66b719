//! A worker: one thread, one event loop, its share of the connections.

use super::handler::handle;
use crate::instance::Instance;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes that are read at once, and the most that a header block may take.
const READ_BUFFER: usize = 8 * 1024;

/// The main function of the thread. Returns once `stopped` says so and the connections have ended.
pub fn run(instance: &'static Instance, listener: TcpListener, stopped: watch::Receiver<bool>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(instance, listener, stopped)));
    if let Err(e) = served {
        instance
            .bridge
            .log(format!("an HTTP worker has ended: {e}"));
    }
}

async fn serve(
    instance: &'static Instance,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = until(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(instance, stream, stopped.clone()));
                }
                Err(e) => {
                    // Out of descriptors, most likely: wait for connections to end.
                    instance.bridge.log(format!("cannot accept a connection: {e}"));
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

async fn serve_connection(
    instance: &'static Instance,
    stream: TcpStream,
    mut stopped: watch::Receiver<bool>,
) {
    // It fails for a connection that is gone, which the first read finds as well.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(instance, request));
    let mut connection = pin!(http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(instance.config.http_header_timeout)
        .max_buf_size(READ_BUFFER)
        .pipeline_flush(true)
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

//! The floor: what hyper itself costs, set up as authkv sets it up.

use crate::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::TcpListener;

/// Answers every request with `bytes` bytes, on that many threads. Prints its port.
pub fn serve(bytes: usize, workers: usize) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let body = Bytes::from("x".repeat(bytes));
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let (listener, body) = (listener.try_clone(), body.clone());
            std::thread::spawn(move || work(listener, body))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a worker has panicked")??;
    }
    Ok(())
}

fn work(listener: std::io::Result<TcpListener>, body: Bytes) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let body = body.clone();
            let service = service_fn(move |_: Request<Incoming>| {
                let mut response = Response::new(Full::new(body.clone()));
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                async { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

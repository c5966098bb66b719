//! The floor: what hyper itself costs, set up as authkv sets it up.

use crate::process::{command, listens, Process};
use crate::Result;
use authkv_check::port::free_port;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// The first argument of this program where it is to be the floor.
pub const ROLE: &str = "floor";

/// What hyper reads at a time, at first.
const BUFFER: u64 = 8192;

/// This program again, in a process of its own.
pub struct Hyper {
    pub port: u16,
    pub process: Process,
}

impl Hyper {
    /// Its answers have bodies of `bytes` bytes.
    pub fn start(root: &Path, bytes: usize) -> Result<Self> {
        let port = free_port()?;
        let make = |_: &Path| -> Result<Command> {
            let mut command = command(std::env::current_exe()?);
            command.args([ROLE, &port.to_string(), &bytes.to_string()]);
            Ok(command)
        };
        Ok(Self {
            port,
            process: Process::start(root, make, |_| listens(port))?,
        })
    }
}

/// Answers every request with as many bytes, on as many threads as authkv has. `args`: a port and a number of bytes.
pub fn serve(mut args: impl Iterator<Item = String>) -> Result<()> {
    let (Some(port), Some(bytes)) = (args.next(), args.next()) else {
        return Err("floor PORT BYTES".into());
    };
    let workers = std::thread::available_parallelism()?.get().min(4);
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    listener.set_nonblocking(true)?;
    let body = Bytes::from("x".repeat(bytes.parse()?));
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
            let service = service_fn(move |request: Request<Incoming>| {
                let mut response = Response::new(Full::new(body.clone()));
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                async {
                    // Hyper closes the connection where more than its buffer is left unread.
                    let mut rest = request.into_body();
                    while rest.size_hint().lower() > BUFFER && rest.frame().await.is_some() {}
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

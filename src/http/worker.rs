//! A worker: one thread, one event loop, its share of the connections.

use super::balancer::{Balancer, Incoming, WorkerSlot};
use super::exchange::Exchange;
use super::listen::{Accepted, AsyncListener, Listener};
use super::shared::{Permit, Shared, Site};
use super::stop::{Signals, Stop};
use super::{h1, h2};
use crate::health::{self, Loops};
use authkv_base::error::Error;
use authkv_base::origin::Peer;
use authkv_wire::preamble::{self, Invalid, Source};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A worker before its thread runs.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub loops: Arc<Loops>,
    pub signals: Signals,
    pub listeners: Vec<Listener>,
    pub tls: Option<TlsAcceptor>,
    /// All workers; this one has `number`.
    pub balancer: Arc<Balancer>,
    pub number: usize,
    /// Connections that other workers have accepted for this one.
    pub incoming: Incoming,
}

/// Accepts and serves connections.
struct Acceptor {
    shared: Arc<Shared>,
    signals: Signals,
    tls: Option<TlsAcceptor>,
    balancer: Arc<Balancer>,
    number: usize,
    connections: tokio::sync::Mutex<JoinSet<()>>,
}

impl Acceptor {
    /// Accepts connections until the server leaves. Each goes to the worker that has the fewest.
    async fn accept(&self, listener: AsyncListener) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                // First, because later connections belong to the next server, with its certificates.
                biased;
                _ = self.signals.leave.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    failing = false;
                    if let Some((accepted, slot)) = self.balancer.place(self.number, accepted) {
                        self.serve(accepted, slot).await;
                    }
                }
                Err(e) => {
                    // Probably out of descriptors: wait for connections to end.
                    if !failing {
                        let line = format!("cannot accept connections: {e}");
                        self.shared.bridge.log(line);
                    }
                    failing = true;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves connections that other workers have accepted, until the server leaves.
    async fn receive(&self, mut incoming: Incoming) {
        loop {
            let next = tokio::select! {
                _ = self.signals.leave.cancelled() => break,
                next = incoming.next() => next,
            };
            let Some((accepted, slot)) = next else { return };
            self.serve(accepted, slot).await;
        }
        incoming.close();
        while let Some((accepted, slot)) = incoming.next().await {
            self.serve(accepted, slot).await;
        }
    }

    async fn serve(&self, accepted: Accepted, slot: WorkerSlot) {
        let mut connections = self.connections.lock().await;
        while connections.try_join_next().is_some() {}
        let stop = Stop::new(&self.signals);
        let connection = connect(self.shared.clone(), accepted, self.tls.clone(), stop);
        connections.spawn(async move {
            let _slot = slot;
            connection.await;
        });
    }
}

impl Worker {
    /// The main function of the thread. Returns once the server stops and the connections have ended.
    pub fn run(self) {
        let bridge = self.shared.bridge;
        let open = bridge.open_mailbox();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Lets other threads run first: usually they bring work, and sleeping and waking costs more.
            .on_thread_park(std::thread::yield_now)
            .build();
        let served = runtime.and_then(|runtime| {
            runtime.spawn(open.serve());
            runtime.block_on(self.serve())
        });
        if let Err(e) = served {
            bridge.log(format!("an HTTP worker has ended: {e}"));
        }
    }

    async fn serve(self) -> io::Result<()> {
        let settings = self.shared.settings.clone();
        let (loops, number) = (self.loops, self.number);
        tokio::spawn(async move { beat(&loops, number).await });
        if self.number == 0 && self.shared.site == Site::Main {
            // One worker notifies the watches of all.
            let shared = self.shared.clone();
            tokio::spawn(async move { shared.notify_watches().await });
        }
        let acceptor = Arc::new(Acceptor {
            shared: self.shared,
            signals: self.signals.clone(),
            tls: self.tls,
            balancer: self.balancer,
            number: self.number,
            connections: tokio::sync::Mutex::default(),
        });
        let mut taking = JoinSet::new();
        for listener in self.listeners {
            let (acceptor, listener) = (acceptor.clone(), listener.into_async()?);
            taking.spawn(async move { acceptor.accept(listener).await });
        }
        let receiving = acceptor.clone();
        taking.spawn(async move { receiving.receive(self.incoming).await });
        while taking.join_next().await.is_some() {}
        self.signals.leave.cancelled().await;
        let limit = settings.live().shutdown_timeout;
        let mut connections = acceptor.connections.lock().await;
        let mut ended = async || while connections.join_next().await.is_some() {};
        // Connections that have not ended in time may finish their present request, and are dropped then.
        if tokio::time::timeout(limit, ended()).await.is_err() && !self.signals.end.is_cancelled() {
            self.signals.end.cancel();
            let _ = tokio::time::timeout(limit, ended()).await;
        }
        Ok(())
    }
}

/// Notes again and again that the event loop of this worker turns. Does not return.
async fn beat(loops: &Loops, number: usize) {
    while let Some(beat) = loops.get(number) {
        beat.turn();
        tokio::time::sleep(health::PAUSE).await;
    }
}

/// Serves a connection.
async fn connect(
    shared: Arc<Shared>,
    accepted: Accepted,
    tls: Option<TlsAcceptor>,
    mut stop: Stop,
) {
    let (mut stream, address, layers) = match accepted {
        Accepted::Tcp(stream, address, layers) => (stream, address, layers),
        Accepted::Unix(stream) => {
            let admitted = shared.admit(&Peer::Unix);
            return plain(&shared, stream, Peer::Unix, admitted, stop).await;
        }
    };
    // Fails if the connection is gone, which the first read notices too.
    let _ = stream.set_nodelay(true);
    let mut peer = Peer::Tcp(address);
    let mut admitted = shared.admit(&peer);
    if layers.proxy {
        if !shared.config.proxies.trust(address.ip()) {
            return;
        }
        if let Ok(permit) = &mut admitted {
            match Box::pin(preamble(&shared, &mut stream, &mut stop)).await {
                Ok(Source::Client(client)) => peer = Peer::Tcp(client),
                Ok(Source::Proxy) => {}
                Err(Invalid) => return,
            }
            if let Err(error) = permit.count(&peer) {
                admitted = Err(error);
            }
        }
    }
    match (layers.tls, tls) {
        // Boxed, because it is large and most connections do not need it.
        (true, Some(tls)) => Box::pin(secure(shared, stream, peer, admitted, tls, stop)).await,
        (true, None) => {}
        (false, _) => plain(&shared, stream, peer, admitted, stop).await,
    }
}

/// Reads the header of the PROXY protocol. A connection without a valid one, or that sends it too slowly, is not answered.
async fn preamble(
    shared: &Shared,
    stream: &mut TcpStream,
    stop: &mut Stop,
) -> Result<Source, Invalid> {
    let header = async {
        let mut input = Vec::new();
        loop {
            let length = input.len();
            match preamble::missing(&input)? {
                0 => return preamble::source(&input),
                more => input.resize(length + more, 0),
            }
            let read = stream.read_exact(&mut input[length..]).await;
            read.map_err(|_| Invalid)?;
        }
    };
    tokio::select! {
        header = tokio::time::timeout(shared.config.header_timeout, header) => {
            header.unwrap_or(Err(Invalid))
        }
        _ = std::future::poll_fn(|context| stop.poll(context)) => Err(Invalid),
    }
}

async fn plain<S>(
    shared: &Arc<Shared>,
    stream: S,
    peer: Peer,
    admitted: Result<Permit, Error>,
    stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match admitted {
        Ok(permit) => serve_h1(shared, stream, peer, permit, stop).await,
        Err(error) => Box::pin(turn_away(shared, stream, peer, error)).await,
    }
}

async fn secure<S>(
    shared: Arc<Shared>,
    stream: S,
    peer: Peer,
    admitted: Result<Permit, Error>,
    tls: TlsAcceptor,
    mut stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // A refused connection is closed before the handshake, which is costly.
    let Ok(permit) = admitted else {
        return;
    };
    let handshake = tokio::time::timeout(shared.config.header_timeout, tls.accept(stream));
    let stream = tokio::select! {
        stream = handshake => stream,
        _ = std::future::poll_fn(|context| stop.poll(context)) => return,
    };
    // A failed handshake is not logged: any client can cause one.
    let Ok(Ok(stream)) = stream else { return };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => {
            let _permit = permit;
            h2::serve(stream, &shared, &peer, stop).await;
        }
        _ => serve_h1(&shared, stream, peer, permit, stop).await,
    }
}

async fn serve_h1<S>(shared: &Arc<Shared>, stream: S, peer: Peer, _permit: Permit, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    h1::serve(stream, shared, &peer, stop).await;
}

/// Refuses a connection, and names the limit if the client takes the answer soon.
async fn turn_away<S>(shared: &Arc<Shared>, mut stream: S, peer: Peer, error: Error)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const PATIENCE: Duration = Duration::from_millis(500);
    let Some(_counted) = shared.turn_away() else {
        return;
    };
    // The request stops counting here, before the connection lingers.
    let bytes = h1::whole(&Exchange::refuse_without_head(shared, &peer, None, error));
    let explained = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        // Reads the client's input, because closing a socket with unread bytes would reset the connection before the answer
        // arrives.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(PATIENCE, explained).await;
}

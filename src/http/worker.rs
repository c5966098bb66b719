//! A worker: one thread, one event loop, its share of the connections.

use super::balancer::{Balancer, Incoming, WorkerSlot};
use super::exchange::Exchange;
use super::listen::{Accepted, AsyncListener, Listener};
use super::shared::{Permit, Shared};
use super::stop::{Signals, Stop};
use super::{h1, h2};
use authkv_base::error::Error;
use authkv_base::origin::Peer;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What a worker is given.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub signals: Signals,
    pub listeners: Vec<Listener>,
    pub tls: Option<TlsAcceptor>,
    /// The workers, among which this one has a number.
    pub balancer: Arc<Balancer>,
    pub number: usize,
    /// Connections that others have accepted for it.
    pub incoming: Incoming,
}

/// What takes connections in.
struct Door {
    shared: Arc<Shared>,
    signals: Signals,
    tls: Option<TlsAcceptor>,
    balancer: Arc<Balancer>,
    number: usize,
    connections: tokio::sync::Mutex<JoinSet<()>>,
}

impl Door {
    /// Accepts connections until the server leaves, each for the worker that has the fewest.
    async fn accept(&self, listener: AsyncListener) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                // First: what comes after this server was told to leave is for the next one, with its certificates.
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
                    // Out of descriptors, most likely: wait for connections to end.
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

    /// Takes the connections that others have accepted, until the server leaves.
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
    /// The main function of the thread. Returns once it is told to stop and the connections have ended.
    pub fn run(self) {
        let bridge = self.shared.bridge;
        let open = bridge.open_mailbox();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Others that can run do so first: most often they bring work, and to sleep and to be woken costs more.
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
        let limit = self.shared.settings.shutdown_timeout;
        if self.number == 0 {
            // One of them tells the watches of all.
            let shared = self.shared.clone();
            tokio::spawn(async move { shared.notify_watches().await });
        }
        let door = Arc::new(Door {
            shared: self.shared,
            signals: self.signals.clone(),
            tls: self.tls,
            balancer: self.balancer,
            number: self.number,
            connections: tokio::sync::Mutex::default(),
        });
        let mut taking = JoinSet::new();
        for listener in self.listeners {
            let (door, listener) = (door.clone(), listener.into_async()?);
            taking.spawn(async move { door.accept(listener).await });
        }
        let receiving = door.clone();
        taking.spawn(async move { receiving.receive(self.incoming).await });
        while taking.join_next().await.is_some() {}
        self.signals.leave.cancelled().await;
        let mut connections = door.connections.lock().await;
        let mut ended = async || while connections.join_next().await.is_some() {};
        // Those that have not ended in time may finish what they are at, and are dropped then.
        if tokio::time::timeout(limit, ended()).await.is_err() && !self.signals.end.is_cancelled() {
            self.signals.end.cancel();
            let _ = tokio::time::timeout(limit, ended()).await;
        }
        Ok(())
    }
}

/// Serves what was accepted.
async fn connect(shared: Arc<Shared>, accepted: Accepted, tls: Option<TlsAcceptor>, stop: Stop) {
    match accepted {
        Accepted::Tcp(stream, address, secured) => {
            // It fails for a connection that is gone, which the first read finds as well.
            let _ = stream.set_nodelay(true);
            let peer = Peer::Tcp(address);
            match (secured, tls) {
                // In a box, because it is large and most connections have none.
                (true, Some(tls)) => Box::pin(secure(shared, stream, peer, tls, stop)).await,
                (true, None) => {}
                (false, _) => plain(shared, stream, peer, stop).await,
            }
        }
        Accepted::Unix(stream) => plain(shared, stream, Peer::Unix, stop).await,
    }
}

async fn plain<S>(shared: Arc<Shared>, stream: S, peer: Peer, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match shared.admit(&peer) {
        Ok(permit) => serve_h1(&shared, stream, peer, permit, stop).await,
        Err(error) => Box::pin(turn_away(&shared, stream, peer, error)).await,
    }
}

async fn secure<S>(shared: Arc<Shared>, stream: S, peer: Peer, tls: TlsAcceptor, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // One that is turned away is not worth a handshake.
    let Ok(permit) = shared.admit(&peer) else {
        return;
    };
    let handshake = tokio::time::timeout(shared.config.header_timeout, tls.accept(stream));
    let stream = tokio::select! {
        stream = handshake => stream,
        _ = std::future::poll_fn(|context| stop.poll(context)) => return,
    };
    // What a client does to its own connection is no news.
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

/// Tells a client which limit it is beyond, if it can be told at once.
async fn turn_away<S>(shared: &Arc<Shared>, mut stream: S, peer: Peer, error: Error)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    const PATIENCE: Duration = Duration::from_millis(500);
    let Some(_counted) = shared.turn_away() else {
        return;
    };
    // No request counts for it while it lingers.
    let bytes = h1::whole(&Exchange::refuse_without_head(shared, &peer, None, error));
    let told = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        // What it has sent is read, because a socket that is closed with bytes unread resets the answer.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(PATIENCE, told).await;
}

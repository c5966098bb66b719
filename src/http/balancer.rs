//! Distributes connections: each goes to the worker that has the fewest, whichever worker accepted it.

use super::listen::{Accepted, Passed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};

pub struct Balancer(Vec<Worker>);

struct Worker {
    connections: AtomicUsize,
    // Bounded by the limit on descriptors.
    passed: UnboundedSender<(Passed, WorkerSlot)>,
}

/// Counts as a connection of a worker until it is dropped.
pub struct WorkerSlot {
    balancer: Arc<Balancer>,
    worker: usize,
}

/// Connections that other workers have accepted for this one.
pub struct Incoming(UnboundedReceiver<(Passed, WorkerSlot)>);

impl Balancer {
    pub fn new(workers: usize) -> (Arc<Self>, Vec<Incoming>) {
        let worker = |_| {
            let (passed, incoming) = unbounded_channel();
            let worker = Worker {
                connections: AtomicUsize::new(0),
                passed,
            };
            (worker, Incoming(incoming))
        };
        let (workers, incoming) = (0..workers).map(worker).unzip();
        (Arc::new(Self(workers)), incoming)
    }

    /// Passes a connection, which the worker `own` has accepted, to another worker; or returns it to be served by `own`.
    pub fn place(
        self: &Arc<Self>,
        own: usize,
        accepted: Accepted,
    ) -> Option<(Accepted, WorkerSlot)> {
        let count = |worker: &usize| self.0[*worker].connections.load(Ordering::Relaxed);
        let fewest = (0..self.0.len()).min_by_key(count).unwrap_or(own);
        if count(&fewest) == count(&own) {
            return Some((accepted, self.slot(own)));
        }
        // Fails if the connection is gone.
        let passed = (accepted.pass().ok()?, self.slot(fewest));
        let (passed, _) = self.0[fewest].passed.send(passed).err()?.0;
        // The other worker has ended.
        Some((passed.accept().ok()?, self.slot(own)))
    }

    fn slot(self: &Arc<Self>, worker: usize) -> WorkerSlot {
        self.0[worker].connections.fetch_add(1, Ordering::Relaxed);
        WorkerSlot {
            balancer: self.clone(),
            worker,
        }
    }
}

impl Drop for WorkerSlot {
    fn drop(&mut self) {
        let worker = &self.balancer.0[self.worker];
        worker.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Incoming {
    /// The next connection, or `None` at the end. Waits for one.
    pub async fn next(&mut self) -> Option<(Accepted, WorkerSlot)> {
        loop {
            let (passed, slot) = self.0.recv().await?;
            if let Ok(accepted) = passed.accept() {
                return Some((accepted, slot));
            }
        }
    }

    /// Accepts no more connections. Those passed before can still be received.
    pub fn close(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    /// A connection whose other side is gone.
    fn accepted() -> Accepted {
        Accepted::Unix(UnixStream::pair().unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_worker_that_has_the_fewest() {
        let (balancer, mut incoming) = Balancer::new(2);
        let (_, first) = balancer.place(0, accepted()).unwrap();
        assert!(
            balancer.place(0, accepted()).is_none(),
            "the other has none"
        );
        let (_, second) = incoming[1].next().await.unwrap();
        let third = balancer.place(1, accepted()).unwrap();
        assert!(
            balancer.place(1, accepted()).is_none(),
            "the first has one less"
        );
        let fourth = incoming[0].next().await.unwrap();
        drop((first, second, third, fourth));
        let open = |worker: &Worker| worker.connections.load(Ordering::Relaxed);
        assert!(balancer.0.iter().all(|worker| open(worker) == 0));
    }

    #[tokio::test]
    async fn no_connection_is_lost_where_a_worker_ends() {
        let (balancer, mut incoming) = Balancer::new(2);
        let _first = balancer.place(0, accepted()).unwrap();
        assert!(balancer.place(0, accepted()).is_none());
        incoming[1].close();
        // The connection passed before is still received. Later ones stay with the worker that accepted them.
        let second = incoming[1].next().await.unwrap();
        assert!(incoming[1].next().await.is_none());
        drop(second);
        assert!(balancer.place(0, accepted()).is_some());
    }
}

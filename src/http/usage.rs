//! How much of what is limited is in use. Any thread.

use super::metrics::STREAMS;
use super::shared::Shared;
use authkv_metrics::{list, Family};

/// What is in use over all HTTP servers of an instance, those that are being replaced included.
#[derive(Default)]
pub struct Usage {
    connections: usize,
    requests: usize,
    streams: [usize; STREAMS.len()],
    /// Bytes of changes that clients of watches have not taken.
    pub watched: usize,
    /// The limits of the present server, if there is one.
    limits: Option<(usize, usize)>,
    pub watched_max: usize,
}

impl Usage {
    pub fn add(&mut self, shared: &Shared) {
        let used = shared.used();
        self.connections += used.connections;
        self.requests += used.requests;
        for (sum, more) in self.streams.iter_mut().zip(used.streams) {
            *sum += more;
        }
        self.watched += shared.watched.held();
    }

    pub fn limit(&mut self, shared: &Shared) {
        self.limits = Some((shared.connections_max(), shared.config.requests_max));
        self.watched_max = shared.watched.max();
    }

    pub fn families(&self) -> Vec<Family> {
        let limit = |of: fn(&(usize, usize)) -> usize| {
            self.limits
                .iter()
                .map(move |limits| ([], of(limits).into()))
        };
        vec![
            list::HTTP_CONNECTIONS.single(self.connections),
            list::HTTP_CONNECTIONS_MAX.family(limit(|limits| limits.0)),
            list::HTTP_IN_FLIGHT.single(self.requests),
            list::HTTP_IN_FLIGHT_MAX.family(limit(|limits| limits.1)),
            list::HTTP_STREAMS.labelled(STREAMS.into_iter().zip(self.streams)),
        ]
    }
}

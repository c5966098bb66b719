//! The answer of `/metrics`, for which tx is asked. HTTP workers only.

use super::super::outgoing::Outgoing;
use super::super::{compress, metrics_page};
use super::Exchange;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_command::{Caller, Command, Freshness, Outcome};
use std::time::Duration;
use tokio::time::timeout;

/// How long a scrape waits for tx. Prometheus itself waits for 10 s.
const PATIENCE: Duration = Duration::from_secs(2);

impl Exchange {
    /// Answers a scrape. If tx does not answer in time, the answer has what is known without it.
    pub(super) async fn scrape(mut self) -> Outgoing {
        let coding = self.head.accept_encoding.text();
        let coding = coding.and_then(compress::choose);
        let command = Command::ServerMetrics(true);
        let fresh = Ok(Freshness::default());
        let request = self.request(Caller::Owner, (command, fresh), &[]);
        let call = self.shared.bridge.call(request, self.gone.clone());
        let mut outgoing = match timeout(PATIENCE, call).await {
            Ok((Ok(Outcome::Metrics(all)), held)) => {
                let response = metrics_page::response(&self.head, all.metrics);
                self.close(response, None, held)
            }
            // The page without tx.
            _ => self.finish(Err(Error::Internal), Reservation::default()),
        };
        compress::compress(&mut outgoing.response, coding).await;
        outgoing
    }
}

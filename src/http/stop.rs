//! Signals that end connections. HTTP workers only.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

#[derive(Clone, Default)]
pub struct Signals {
    /// No more connections are accepted; open ones end after their next answer.
    pub leave: CancellationToken,
    /// Idle connections end at once.
    pub end: CancellationToken,
}

/// The signals, as a connection receives them.
pub struct Stop {
    leave: CancellationToken,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stop {
    pub fn new(signals: &Signals) -> Self {
        Self {
            leave: signals.leave.clone(),
            end: Box::pin(signals.end.clone().cancelled_owned()),
        }
    }

    /// Ready once idle connections have to end.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.end.as_mut().poll(context)
    }

    /// Returns once the connection has to end after its next answer.
    pub async fn leave(&mut self) {
        self.leave.cancelled().await;
    }
}

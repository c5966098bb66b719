//! `POST /v1/import`: pairs as lines, written as they arrive. The carrier passes the pieces of the body, and sends what the
//! import answers: nothing in the first second, so that a short import has one whole answer, and then a line each second.

use super::super::commands::{CommandRunner, RetryBudget};
use super::super::exchange::Exchange;
use super::super::lines::{last_line, problem_of_line, progress};
use super::super::outgoing::Outgoing;
use super::super::piece::Pieces;
use super::super::render::set_revision;
use super::super::response::Response;
use crate::bulk::{Failure, Import};
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_codec::Member;
use authkv_command::Operation;
use authkv_domain::Mode;
use authkv_wire::inflate::Inflate;
use authkv_wire::input::NDJSON;
use bytes::Bytes;
use std::future::Future;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::Instant;

/// The time between two lines of progress, and how long lines may wait to be written.
const PROGRESS: Duration = Duration::from_secs(1);

const READ_ONLY: Error = Error::ReadOnly { leader: None };

/// An import under way.
pub struct Importing {
    /// `None` once the head was sent.
    exchange: Option<Exchange>,
    runner: CommandRunner,
    import: Import,
    /// Set if the body is in gzip.
    inflate: Option<Inflate>,
    /// The memory reserved for lines that were not written yet.
    held: Reservation,
    /// How many bytes of the body were received.
    received: usize,
    /// When progress was last reported, or when the import began.
    reported: Instant,
    written: Instant,
}

/// The result of a piece of the body.
pub enum Step {
    More,
    /// A line of progress.
    Progress(Bytes),
    Over(Ending),
}

/// How an import ends.
pub struct Ending(Result<(), Failure>);

impl Importing {
    /// Begins an import. If the token or the mode is invalid, returns an answer, and the body is not read.
    pub async fn begin(mut exchange: Exchange) -> Result<Self, Box<Outgoing>> {
        match Self::prepare(&mut exchange).await {
            Ok((runner, import)) => Ok(Self {
                inflate: exchange.is_gzip().then(Inflate::default),
                exchange: Some(exchange),
                runner,
                import,
                held: Reservation::default(),
                received: 0,
                reported: Instant::now(),
                written: Instant::now(),
            }),
            Err(error) => Err(Box::new(
                exchange.finish(Err(error), Reservation::default()),
            )),
        }
    }

    async fn prepare(exchange: &mut Exchange) -> Result<(CommandRunner, Import), Error> {
        let (runner, members) = exchange.runner()?;
        let mode = members.iter().find_map(|member| match member {
            ("mode", Member::Text(name)) => Some(Mode::from_name(name)),
            _ => None,
        });
        // The token and the permission to import are checked before the mode, and before the body is read.
        let (config, types) = (&runner.shared.settings, runner.shared.types);
        let import = |mode| Import::new(config, types, runner.token.clone(), mode, 1);
        let probe = import(Mode::default()).probe()?;
        let probed = runner.put(probe).await;
        exchange.set_forwarded(runner.is_forwarded());
        match probed {
            Err(error) if !error.is(&Error::NoKeys) => return Err(error),
            _ => {}
        }
        let mode = mode.transpose()?.unwrap_or_default();
        let import = import(mode);
        Ok((runner, import))
    }

    /// Returns `ShuttingDown` once the instance stops. A server that is only replaced lets imports finish.
    pub fn stops(&self) -> impl Future<Output = Error> + use<> {
        let shared = self.runner.shared.clone();
        async move {
            shared.leave.cancelled().await;
            if !shared.life.is_stopping() {
                std::future::pending::<()>().await;
            }
            Error::ShuttingDown
        }
    }

    /// Whether received bytes are still to be inflated. The next piece is then empty, and nothing is read.
    pub fn is_behind(&self) -> bool {
        self.inflate.as_ref().is_some_and(Inflate::is_behind)
    }

    /// Takes a piece of the body; `None` at its end, or the error that ends it.
    pub async fn take(&mut self, piece: Result<Option<Bytes>, Error>) -> Step {
        let mut is_last = !matches!(piece, Ok(Some(_)));
        if let Ok(Some(piece)) = &piece {
            self.received += piece.len();
        }
        match self.inflated(piece) {
            Ok(Some(text)) => self.import.push(&text),
            Ok(None) => self.import.end(),
            Err(error) => {
                is_last = true;
                self.import.stop(error);
            }
        }
        if self.inflate.is_some() {
            // A small piece may inflate to a long text, so other connections get their turn.
            yield_now().await;
        }
        let bridge = &self.runner.shared.bridge;
        if !self.held.grow_to(&bridge.memory, self.import.size()) {
            self.import.stop(bridge.memory_error());
        }
        match self.write(is_last).await {
            Err(failure) => Step::Over(Ending(Err(failure))),
            Ok(()) if is_last => Step::Over(Ending(Ok(()))),
            Ok(()) if self.reported.elapsed() >= PROGRESS => {
                self.reported = Instant::now();
                Step::Progress(progress(self.import.counts()))
            }
            Ok(()) => Step::More,
        }
    }

    /// The text of a piece of the body. Errors: `Malformed` if it is not gzip, or is cut short.
    fn inflated(&mut self, piece: Result<Option<Bytes>, Error>) -> Result<Option<Bytes>, Error> {
        let piece = piece?;
        match (&mut self.inflate, piece) {
            (Some(inflate), Some(piece)) => {
                inflate.push(piece);
                inflate.next_piece().map(|text| Some(text.into()))
            }
            (Some(inflate), None) => inflate.end().map(|()| None),
            (None, piece) => Ok(piece),
        }
    }

    /// Writes full batches. Once in `PROGRESS`, and at the end, also a batch that is not full.
    async fn write(&mut self, is_last: bool) -> Result<(), Failure> {
        let all = is_last || self.written.elapsed() >= PROGRESS;
        let mut budget = RetryBudget::default();
        while let Some(put) = self.import.next(all)? {
            let outcome = self.runner.put(put).await;
            // A command that had no effect is repeated.
            let memory_error = self.runner.shared.bridge.memory_error();
            let is_refused = outcome.as_ref().is_err_and(|error| {
                // The leader may be changing.
                let forward = &self.runner.shared.core.forward;
                let is_between = error.is(&READ_ONLY) && forward.may_carry(Operation::BatchPut);
                is_between || had_no_effect(error, &memory_error)
            });
            if is_refused && budget.wait().await {
                continue;
            }
            budget = RetryBudget::default();
            self.import.done(outcome)?;
            self.written = Instant::now();
            self.held = Reservation::default();
        }
        Ok(())
    }

    /// The head of the answer, for lines before the end of the import. `None` if it was sent already.
    pub fn open(&mut self, pieces: Pieces) -> Option<Outgoing> {
        let mut exchange = self.exchange.take()?;
        exchange.set_forwarded(self.runner.is_forwarded());
        let mut response = Response::new(200, Bytes::new());
        response.set("Content-Type", NDJSON);
        Some(exchange.open(response, pieces))
    }

    /// The whole answer, if nothing was sent before.
    pub fn close(&mut self, ending: &Ending) -> Option<Outgoing> {
        let mut exchange = self.exchange.take()?;
        exchange.set_forwarded(self.runner.is_forwarded());
        exchange.set_body_length(self.received);
        let Err(failure) = &ending.0 else {
            let mut response = Response::new(200, self.last_line(ending));
            response.set("Content-Type", NDJSON);
            set_revision(&mut response, self.import.revision());
            return Some(exchange.close(response, None, Reservation::default()));
        };
        let mut response = exchange.problem(&failure.error);
        response.body = problem_of_line(failure);
        set_revision(&mut response, self.import.revision());
        Some(exchange.close(response, Some(&failure.error), Reservation::default()))
    }

    pub fn last_line(&self, ending: &Ending) -> Bytes {
        let failure = ending.0.as_ref().err();
        last_line(failure, self.import.counts(), self.import.revision())
    }

    /// How many bytes of the body were received.
    pub fn received(&self) -> usize {
        self.received
    }
}

/// Whether a command certainly had no effect: the server was too busy, or another transaction changed the same pairs. It is not
/// certain for `memory_error`, the error if this instance has no memory: the command may have been executed, and its answer
/// dropped.
fn had_no_effect(error: &Error, memory_error: &Error) -> bool {
    error.is(&Error::TransactionAborted) || error.is(memory_error) && error != memory_error
}

impl Ending {
    /// The error that ended the import early.
    pub fn error(&self) -> Option<&Error> {
        self.0.as_ref().err().map(|failure| &failure.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_had_no_effect_is_repeated_also_at_the_leader() {
        let overloaded = |what| Error::Overloaded { what, limit: 5 };
        let memory_error = overloaded("bytes of answers");
        let of_leader = |error: Error| Error::relayed(error.row().code, error.to_string(), None);
        for error in [Error::TransactionAborted, overloaded("requests at a time")] {
            assert!(had_no_effect(&error, &memory_error));
            assert!(had_no_effect(&of_leader(error), &memory_error));
        }
        for error in [
            Error::OutcomeUnknown { seconds: 1 },
            Error::ReadOnly { leader: None },
            Error::NotDurable,
        ] {
            assert!(!had_no_effect(&error, &memory_error));
            assert!(!had_no_effect(&of_leader(error), &memory_error));
        }
        assert!(!had_no_effect(&memory_error, &memory_error));
    }
}

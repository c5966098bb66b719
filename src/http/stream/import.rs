//! `POST /v1/import`: pairs as lines, written as they come. The carrier hands over the pieces of the body, and sends what
//! there is to say: nothing for a second, so that a short import has one whole answer, and then a line each second.

use super::super::commands::{CommandRunner, RetryBudget};
use super::super::exchange::Exchange;
use super::super::lines::{last_line, problem_of_line, progress};
use super::super::outgoing::Outgoing;
use super::super::piece::Pieces;
use super::super::response::Response;
use crate::bulk::{Failure, Import};
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_codec::Member;
use authkv_command::Outcome;
use authkv_domain::Mode;
use authkv_wire::inflate::Inflate;
use authkv_wire::input::NDJSON;
use bytes::Bytes;
use std::future::Future;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::Instant;

/// How often there is a line of progress, at most, and lines that came wait to be written.
const PROGRESS: Duration = Duration::from_secs(1);

/// An import under way.
pub struct Importing {
    /// None once the head was sent.
    exchange: Option<Exchange>,
    runner: CommandRunner,
    import: Import,
    /// Where the body is in gzip.
    inflate: Option<Inflate>,
    /// What waits to be written, of the memory for bodies.
    held: Reservation,
    /// Bytes of the body so far.
    received: usize,
    /// When progress was told of, or the import has begun.
    told: Instant,
    written: Instant,
}

/// What an import has to say once it has taken a piece of the body.
pub enum Step {
    More,
    /// A line.
    Progress(Bytes),
    Over(Ending),
}

/// How an import ends.
pub struct Ending(Result<(), Failure>);

impl Importing {
    /// Begins, where the token and the mode are good; else there is an answer, and the body is not wanted.
    pub async fn begin(mut exchange: Exchange) -> Result<Self, Box<Outgoing>> {
        match Self::prepare(&mut exchange).await {
            Ok((runner, import)) => Ok(Self {
                inflate: exchange.is_gzip().then(Inflate::default),
                exchange: Some(exchange),
                runner,
                import,
                held: Reservation::default(),
                received: 0,
                told: Instant::now(),
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
        // The token is looked at before the rules are, and before the body is read.
        let (config, types) = (&runner.shared.settings, runner.shared.types);
        let probe = Import::new(config, types, Mode::default(), 1).probe();
        match runner.call(probe?).await.0 {
            Ok(_) | Err(Error::NoKeys) => {}
            Err(error) => return Err(error),
        }
        let mode = mode.transpose()?.unwrap_or_default();
        let import = Import::new(config, types, mode, 1);
        Ok((runner, import))
    }

    /// Returns the failure that the instance stops, once it does. A server that is only replaced lets imports end.
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

    /// Whether what came was not all taken in yet: the next piece is an empty one, and not read.
    pub fn is_behind(&self) -> bool {
        self.inflate.as_ref().is_some_and(Inflate::is_behind)
    }

    /// Takes a piece of the body, its end where it is none, or why there is no more of it.
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
            // Others have their turn: a small piece may be a large text.
            yield_now().await;
        }
        let bridge = &self.runner.shared.bridge;
        if !self.held.grow_to(&bridge.memory, self.import.size()) {
            self.import.stop(bridge.memory_error());
        }
        match self.write(is_last).await {
            Err(failure) => Step::Over(Ending(Err(failure))),
            Ok(()) if is_last => Step::Over(Ending(Ok(()))),
            Ok(()) if self.told.elapsed() >= PROGRESS => {
                self.told = Instant::now();
                Step::Progress(progress(self.import.counts()))
            }
            Ok(()) => Step::More,
        }
    }

    /// The text of a piece of the body. Errors: `Malformed` where it is no gzip, or has no end.
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

    /// Writes what is there, as far as it fills a batch. All of it now and then, and where it is the last.
    async fn write(&mut self, is_last: bool) -> Result<(), Failure> {
        let all = is_last || self.written.elapsed() >= PROGRESS;
        let mut budget = RetryBudget::default();
        while let Some(command) = self.import.next(all)? {
            let (outcome, _) = self.runner.call(command).await;
            // What was not taken in comes again, by the same command.
            if self.is_refused(&outcome) && budget.wait().await {
                continue;
            }
            budget = RetryBudget::default();
            self.import.done(outcome)?;
            self.written = Instant::now();
            self.held = Reservation::default();
        }
        Ok(())
    }

    /// Whether a command had no effect because the server was too busy, or others changed the same pairs. That there is no
    /// memory for the answer shows after it was executed.
    fn is_refused(&self, outcome: &Result<Outcome, Error>) -> bool {
        match outcome {
            Err(Error::TransactionAborted) => true,
            Err(error @ Error::Overloaded { .. }) => {
                *error != self.runner.shared.bridge.memory_error()
            }
            _ => false,
        }
    }

    /// The head of the answer, where there are lines to be sent before the end. It is there once.
    pub fn open(&mut self, pieces: Pieces) -> Option<Outgoing> {
        let exchange = self.exchange.take()?;
        let mut response = Response::new(200, Bytes::new());
        response.set("Content-Type", NDJSON);
        Some(exchange.open(response, pieces))
    }

    /// The whole answer, where nothing was sent before.
    pub fn close(&mut self, ending: &Ending) -> Option<Outgoing> {
        let mut exchange = self.exchange.take()?;
        exchange.set_body_length(self.received);
        let Err(failure) = &ending.0 else {
            let mut response = Response::new(200, self.last_line(ending));
            response.set("Content-Type", NDJSON);
            return Some(exchange.close(response, None, Reservation::default()));
        };
        let mut response = exchange.problem(&failure.error);
        response.body = problem_of_line(failure);
        Some(exchange.close(response, Some(&failure.error), Reservation::default()))
    }

    /// The last line.
    pub fn last_line(&self, ending: &Ending) -> Bytes {
        last_line(ending.0.as_ref().err(), self.import.counts())
    }

    /// Bytes of the body so far.
    pub fn received(&self) -> usize {
        self.received
    }
}

impl Ending {
    /// What has ended it early.
    pub fn error(&self) -> Option<&Error> {
        self.0.as_ref().err().map(|failure| &failure.error)
    }
}

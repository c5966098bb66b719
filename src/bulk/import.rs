//! An import: takes text and the outcomes of commands, gives commands and counts. The caller executes the commands, on any
//! thread.

use super::batch::{Batch, Pair};
use super::counts::{self, Counts};
use super::lines::Lines;
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::types::Types;
use authkv_codec::{Document, Rules};
use authkv_command::{Command, Operation, Outcome};
use authkv_config::Config;
use authkv_domain::{Limits, Mode};

/// Why an import ends early.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: Error,
    /// The first line that was not written, if it is known.
    pub line: Option<u64>,
}

/// A command, and the arguments of the procedure `batch_put` that does the same, in msgpack.
pub struct Put {
    pub command: Command,
    pub arguments: Vec<u8>,
}

/// An import under way.
pub struct Import {
    /// The token of the caller, for the arguments of commands.
    token: Option<String>,
    mode: Mode,
    limits: Limits,
    rules: Rules,
    lines: Lines,
    batch: Batch,
    /// The pair that did not fit into the batch.
    next: Option<Pair>,
    /// Why there is no more text.
    stopped: Option<Error>,
    /// The failure that ends the import once the batch is written.
    broken: Option<Failure>,
    /// The pair that is written alone: after a batch was refused, its pairs are written one by one.
    alone: Option<usize>,
    counts: Counts,
    /// The revision from which on what was written is seen.
    revision: Option<u64>,
}

impl Import {
    /// `first` is the number of the first line.
    pub fn new(
        config: &Config,
        types: Types,
        token: Option<String>,
        mode: Mode,
        first: u64,
    ) -> Self {
        Self {
            token,
            mode,
            limits: config.live().limits,
            rules: Operation::BatchPut.rules(config, types),
            lines: Lines::new(config.live().kv_input_max, first),
            batch: Batch::default(),
            next: None,
            stopped: None,
            broken: None,
            alone: None,
            counts: Counts::default(),
            revision: None,
        }
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The revision from which on all that was written is seen. `None` if no command was executed.
    pub fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// The number of the last line read.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Bytes of the last line, which is incomplete.
    pub fn waiting(&self) -> usize {
        self.lines.waiting()
    }

    /// About how many bytes the import uses.
    pub fn size(&self) -> usize {
        self.lines.waiting() + 2 * self.batch.size()
    }

    /// Adds a piece of the text.
    pub fn push(&mut self, piece: &[u8]) {
        self.lines.push(piece);
    }

    /// Notes that the text is complete.
    pub fn end(&mut self) {
        self.lines.end();
    }

    /// Notes why the text stops early. The whole lines before that are still written.
    pub fn stop(&mut self, error: Error) {
        self.stopped = Some(error);
    }

    /// A command without pairs, which fails with `NoKeys` if the caller may import.
    pub fn probe(&self) -> Result<Put, Error> {
        self.put(&Batch::default(), None)
    }

    /// The next command to execute, or `None` if more text is needed first. With `all`, a batch that is not full is written
    /// too. Returns the same command again until `done` is called. Errors: the failure that ends the import.
    pub fn next(&mut self, all: bool) -> Result<Option<Put>, Failure> {
        loop {
            let is_due = self.alone.is_some() || self.fill();
            if !is_due && self.broken.is_none() && !all || self.batch.len() == 0 {
                return self.broken.take().map_or(Ok(None), Err);
            }
            match self.put(&self.batch, self.alone) {
                Ok(put) => return Ok(Some(put)),
                Err(error) => self.done(Err(error))?,
            }
        }
    }

    /// Fills the batch. Returns whether it is full.
    fn fill(&mut self) -> bool {
        let now = now();
        while self.broken.is_none() {
            let pair = match self
                .next
                .take()
                .map_or_else(|| self.read(now), |next| Ok(Some(next)))
            {
                Ok(Some(pair)) => pair,
                Ok(None) => {
                    let line = Some(self.lines.number() + 1);
                    let stopped = self.stopped.take();
                    self.broken = stopped.map(|error| Failure { error, line });
                    return false;
                }
                Err(error) => {
                    let line = Some(self.lines.number());
                    self.broken = Some(Failure { error, line });
                    return false;
                }
            };
            if pair.has_expired(now) {
                self.counts.add_expired();
            } else if let Err(pair) = self.batch.push(pair, self.limits.batch) {
                self.next = Some(pair);
                return true;
            }
        }
        false
    }

    fn read(&mut self, now: f64) -> Result<Option<Pair>, Error> {
        let line = self.lines.take()?;
        let pair = |line: bytes::Bytes| Pair::read(&line, self.lines.number(), self.rules, now);
        line.map(pair).transpose()
    }

    fn put(&self, batch: &Batch, only: Option<usize>) -> Result<Put, Error> {
        let arguments = batch.arguments(self.token.as_deref(), only, self.mode);
        let input = Document::from_parts(&arguments, self.rules);
        let command = Command::decode(Operation::BatchPut, &input, 1, &self.limits)?;
        Ok(Put { command, arguments })
    }

    /// Takes the result of the last command. Errors: the failure that ends the import.
    pub fn done(&mut self, result: Result<Outcome, Error>) -> Result<(), Failure> {
        let at = self.alone.unwrap_or(0);
        let is_alone = self.alone.is_some() || self.batch.len() == 1;
        let counted = result.and_then(|outcome| match outcome {
            // Encoded by another instance.
            Outcome::Applied { members, .. } | Outcome::Encoded(members) => {
                let revision = counts::revision(&members);
                let added = revision.and_then(|at| self.counts.add(&members).map(|()| at));
                // The batch is written, so no error may look like a refusal of its pairs.
                self.revision = Some(added.map_err(|_| Error::Internal)?);
                Ok(())
            }
            _ => Err(Error::Internal),
        });
        let pair = self.batch.get(at).filter(|_| is_alone);
        let expired_meanwhile = |error| pair.is_some_and(|pair| pair.expired_meanwhile(error));
        match counted {
            Ok(()) => {}
            // The pair has expired since its line was read.
            Err(error) if expired_meanwhile(&error) => self.counts.add_expired(),
            // One pair of the batch breaks a rule, so nothing was written: write the pairs one by one.
            Err(error) if !is_alone && matches!(error.row().v1_status, 400 | 422) => {
                self.alone = Some(0);
                return Ok(());
            }
            Err(error) => {
                let line = self.batch.line(at);
                return Err(Failure { error, line });
            }
        }
        self.alone = self.alone.map(|at| at + 1);
        if self.alone.is_none_or(|at| at == self.batch.len()) {
            self.alone = None;
            self.batch = Batch::default();
        }
        Ok(())
    }
}

/// Seconds since 1970-01-01 UTC.
fn now() -> f64 {
    milliseconds() as f64 / 1000.0
}

#[cfg(test)]
mod tests;

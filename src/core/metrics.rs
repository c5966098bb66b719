//! What is counted of operations, on their one path from request to outcome. Runs on the tx thread, except for
//! [`operations`].

use authkv_base::error::Error;
use authkv_base::origin::Transport;
use authkv_base::ticks::Instant;
use authkv_command::{Command, Operation, Outcome};
use authkv_metrics::{list, per_thread, Buckets, Family};

const OPERATIONS: usize = Operation::ALL.len();
const TRANSPORTS: [Transport; 3] = [Transport::Http, Transport::Iproto, Transport::Console];
/// Successes, and the errors in the order of their rows.
const RESULTS: usize = 1 + Error::ROWS.len();

const TIME: Buckets = Buckets::TX;
const KEYS: Buckets = Buckets::KEYS;

/// The kinds of what ends tokens, in the order of their counters.
const ENDS: [&str; 2] = ["token", "user"];

// The first counter of each block.
const TIMES: usize = TRANSPORTS.len() * OPERATIONS * RESULTS;
const BATCHES: usize = TIMES + OPERATIONS * TIME.cells();
const ENDED: usize = BATCHES + OPERATIONS * KEYS.cells();

per_thread! {
    /// The results of each operation over each transport, its times, and the keys of its batches; then what ended tokens.
    static COUNTS: ENDED + ENDS.len();
}

/// An operation that is being executed.
pub struct Running {
    operation: Operation,
    transport: Transport,
    /// How many keys it has, if it is for many of them.
    keys: Option<usize>,
    begun: Instant,
}

impl Running {
    pub fn begin(command: &Command, transport: Transport, begun: Instant) -> Self {
        Self {
            operation: command.operation(),
            transport,
            keys: batch(command),
            begun,
        }
    }

    /// Counts the operation, unless it was the leader that has executed it. Returns the present time.
    pub fn end(self, result: &Result<Outcome, Error>) -> Instant {
        let operation = self.operation as usize;
        let now = Instant::now();
        if let Ok(Outcome::Carried(_)) = result {
            return now;
        }
        let time = now.since(self.begun);
        COUNTS.with(|own| {
            own.add(place(self.transport, self.operation, number(result)), 1);
            TIME.observe_time(own, TIMES + operation * TIME.cells(), time);
            if let Some(keys) = self.keys {
                KEYS.observe(own, BATCHES + operation * KEYS.cells(), keys as u64);
            }
            if let Some(kind) = ended(self.operation, result) {
                own.add(ENDED + kind, 1);
            }
        });
        now
    }
}

/// Counts an operation that was refused before its command was known.
pub fn refused(transport: Transport, operation: Operation, error: &Error) {
    COUNTS.add(place(transport, operation, error_number(error)), 1);
}

fn place(transport: Transport, operation: Operation, result: usize) -> usize {
    (transport as usize * OPERATIONS + operation as usize) * RESULTS + result
}

fn number(result: &Result<Outcome, Error>) -> usize {
    result.as_ref().err().map_or(0, error_number)
}

fn error_number(error: &Error) -> usize {
    let code = error.row().code;
    let row = Error::ROWS.iter().position(|(row, _)| row.code == code);
    row.map_or(0, |row| row + 1)
}

/// How many keys an operation for many of them has.
fn batch(command: &Command) -> Option<usize> {
    match command {
        Command::Get(Ok(keys)) | Command::BatchGet(Ok(keys), _) => Some(keys.len()),
        Command::Put(Ok(steps))
        | Command::BatchPut(Ok(steps))
        | Command::BatchDelete(Ok(steps)) => Some(steps.len()),
        Command::KvTxn(Ok(txn)) => {
            Some(txn.compare.len() + txn.success.len().max(txn.failure.len()))
        }
        _ => None,
    }
}

/// What a result has ended, as a number of [`ENDS`].
fn ended(operation: Operation, result: &Result<Outcome, Error>) -> Option<usize> {
    use Operation::*;
    match (operation, result) {
        (Logout, Ok(_)) | (_, Err(Error::InvalidRefreshToken { reused: Some(_) })) => Some(0),
        (
            SessionLogoutAll | UserLogout | UserDisable | UserDelete | UserPassword
            | UserSetPassword,
            Ok(_),
        ) => Some(1),
        _ => None,
    }
}

/// What was counted of operations so far. Any thread.
pub fn operations() -> Vec<Family> {
    let sums = COUNTS.sums();
    let results = ["ok"].into_iter();
    let results: Vec<&str> = results
        .chain(Error::ROWS.iter().map(|(row, _)| row.name))
        .collect();
    let mut counted = Vec::new();
    for transport in TRANSPORTS {
        for operation in Operation::ALL {
            for (result, name) in results.iter().enumerate() {
                let count = sums[place(transport, *operation, result)];
                if count > 0 {
                    let labels = [transport.name(), operation.row().name, name];
                    counted.push((labels.map(Into::into), count.into()));
                }
            }
        }
    }
    let histograms = |first: usize, buckets: &Buckets| {
        let of = |operation: &Operation| {
            let first = first + *operation as usize * buckets.cells();
            let value = buckets.read(&sums[first..first + buckets.cells()])?;
            (!value.is_empty()).then_some((operation.row().name, value))
        };
        Operation::ALL.iter().filter_map(of).collect::<Vec<_>>()
    };
    let ended = ENDS.into_iter().zip(sums[ENDED..].iter().copied());
    vec![
        list::OPERATIONS.family(counted),
        list::OPERATION_DURATION.labelled(histograms(TIMES, &TIME)),
        list::BATCH_KEYS.labelled(histograms(BATCHES, &KEYS)),
        list::REVOCATIONS.labelled(ended),
    ]
}

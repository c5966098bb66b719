//! `make model`: random sequences of commands on real instances, over HTTP and iproto, against a store in memory.
//!
//! `--cases N` sequences (10,000), `--seed S` to have the same ones again, `--mvcc 1` to run them with
//! `memtx_use_mvcc_engine`. Two workers, each with an instance of its own.

use authkv_check::args::numbers;
use authkv_check::model::plan::sequences;
use authkv_check::model::run::{Counts, Run};
use authkv_check::Result;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const WORKERS: u64 = 2;
const CASES: u64 = 10_000;
/// A smaller sequence is looked for this long.
const SHRINK_MILLISECONDS: u32 = 120_000;

fn main() -> Result<ExitCode> {
    let [cases, seed, mvcc] = numbers(["cases", "seed", "mvcc"])?;
    let (cases, seed, mvcc) = (
        cases.unwrap_or(CASES),
        seed.unwrap_or_else(|| fastrand::u64(..)),
        mvcc.is_some_and(|mvcc| mvcc > 0),
    );
    let began = Instant::now();
    let failed = AtomicBool::new(false);
    let workers = |worker: u64| {
        let share = cases / WORKERS + u64::from(worker < cases % WORKERS);
        work(share, (seed, mvcc), worker, &failed)
    };
    let results: Vec<Result<Counts>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || workers(worker)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err("a worker panicked".into())))
            .collect()
    });
    let mut total = Counts::default();
    let mut code = ExitCode::SUCCESS;
    for result in results {
        match result {
            Ok(counts) => {
                total = total + counts;
            }
            Err(difference) => {
                println!("{difference}\n");
                code = ExitCode::FAILURE;
            }
        }
    }
    let verdict = if code == ExitCode::SUCCESS {
        "every answer as the model's"
    } else {
        "NOT as the model"
    };
    println!(
        "model: {verdict}: {} sequences, {} commands, {} restarts, mvcc {mvcc}, seed {seed}, {:.0} s",
        total.sequences,
        total.commands,
        total.restarts,
        began.elapsed().as_secs_f64()
    );
    Ok(code)
}

/// Errors: the smallest sequence that was found to fail.
fn work(cases: u64, (seed, mvcc): (u64, bool), worker: u64, failed: &AtomicBool) -> Result<Counts> {
    let config = Config {
        cases: u32::try_from(cases)?,
        failure_persistence: None,
        max_shrink_time: SHRINK_MILLISECONDS,
        max_shrink_iters: u32::MAX,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&worker.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let run = RefCell::new(Some(Run::new(mvcc)?));
    let (mine, total) = (Cell::new(false), Cell::new(Counts::default()));
    let result = TestRunner::new_with_rng(config, rng).run(&sequences(), |steps| {
        // The other worker has something to tell already.
        if failed.load(Ordering::Relaxed) && !mine.get() {
            return Ok(());
        }
        let mut place = run.borrow_mut();
        let run = match &mut *place {
            Some(run) => run,
            // The one before has failed.
            none => {
                none.insert(Run::new(mvcc).map_err(|error| TestCaseError::fail(error.to_string()))?)
            }
        };
        let result = run.sequence(&steps);
        total.set(run.counts() + total.get());
        result.map_err(|difference| {
            failed.store(true, Ordering::Relaxed);
            mine.set(true);
            *place = None;
            TestCaseError::fail(difference)
        })
    });
    match result {
        Ok(()) => Ok(total.get()),
        // It has the smallest sequence already, as it was sent.
        Err(TestError::Fail(difference, _)) => Err(difference.to_string().into()),
        Err(other) => Err(other.to_string().into()),
    }
}

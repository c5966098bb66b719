//! `make bench`: authkv, its peers and its floors on this machine, driven in turn, as medians and ratios. See `--help`.
//!
//! All servers are processes that this program starts, with data and ports of their own. The figure that holds best on
//! a noisy machine is the server's CPU time per request, user and system, from `/proc`.

mod drivers;
mod figures;
mod machine;
mod options;
mod process;
mod report;
mod subjects;
mod usage;
mod works;

use machine::Machine;
use options::{Options, HELP};
use report::Report;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::process::ExitCode;
use subjects::{hyper, Lab};
use works::Outcome;

/// The errors of all: a process, a socket, an argument or an answer that is not as it should be.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|role| role == hyper::ROLE).is_some() {
        return hyper::serve(args).map(|()| ExitCode::SUCCESS);
    }
    let names = works::ALL.map(|(name, _)| name);
    let Some(options) = Options::parse(args, &names)? else {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    open_many_files()?;
    let lab = Lab::new(options)?;
    lab.remove_data_on_signals()?;
    let (mut done, mut failed) = (Vec::new(), false);
    for (name, prepare) in works::ALL {
        if !lab.options.wants(name) {
            continue;
        }
        match prepare(&lab) {
            Ok(works) => done.extend(works.iter().map(|work| work.run(lab.options.seconds))),
            Err(error) => {
                failed = true;
                lab.note(format!("Not done: {name}: {error}"));
            }
        }
    }
    failed |= done.iter().any(Outcome::has_failed);
    let report = Report {
        machine: Machine::new(&lab.options),
        rounds: lab.options.rounds,
        seconds: lab.options.seconds,
        notes: lab.notes(),
        works: done,
    };
    report.write(&lab.options.out)?;
    print!("{}", report.markdown());
    eprintln!(
        "The same, all rounds, and a chart are in {}",
        lab.options.out.display()
    );
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// As many as this process may, which the processes that it starts inherit.
fn open_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
}

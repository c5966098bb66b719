//! Checks the histories of a file: `recorded FILE`, one in each line. The exit code is 1 if one is not linearizable.

use authkv_check::linear::checker::Verdict;
use authkv_check::linear::history::describe;
use authkv_check::linear::recorded::Recorded;
use authkv_check::Result;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let path = std::env::args().nth(1).ok_or("recorded FILE")?;
    let (mut histories, mut operations, mut wrong, mut undecided) = (0, 0, 0, 0);
    for line in BufReader::new(File::open(path)?).lines() {
        let recorded = Recorded::read(&line?)?;
        histories += 1;
        operations += recorded.history().len();
        match recorded.verdict() {
            Verdict::Linearizable(_) => {}
            Verdict::Not(order) => {
                wrong += 1;
                println!("{}", describe(&recorded.history(), &order));
                println!("history {} is NOT linearizable", recorded.number);
            }
            Verdict::Undecided => undecided += 1,
        }
    }
    println!("{histories} histories of {operations} operations: {wrong} not linearizable, {undecided} not decided");
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

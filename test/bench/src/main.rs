//! `make bench`: authkv and its floor on this machine, driven in turn, as medians and ratios.
//!
//! The floor is bare hyper that answers a constant body of the same size. `wrk` drives both. The figure that
//! holds on a noisy machine is the server's CPU time per request, user and system, from `/proc`.

mod floor;
mod server;
mod wrk;

use serde_json::{json, Value};
use server::{Server, Work};
use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5;
const CONNECTIONS: u32 = 64;
const SECONDS: u32 = 4;
const KEYS: usize = 10;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("floor") {
        let number = |text: Option<String>| {
            Ok::<usize, Box<dyn Error>>(text.ok_or("floor BYTES WORKERS")?.parse()?)
        };
        return floor::serve(number(args.next())?, number(args.next())?);
    }
    let workers = std::thread::available_parallelism()?.get().min(4);
    let authkv = Server::authkv()?;
    let token = authkv.token()?;
    let work = read_work(&authkv, &token)?;
    let bytes = authkv.body_of(&work)?.len();
    let floor = Server::floor(bytes, workers)?;
    let subjects = [
        ("authkv, batch read with a token", &authkv),
        ("bare hyper, constant body", &floor),
    ];

    println!(
        "{KEYS} keys of 16 bytes, values of 32 bytes, {bytes} bytes of answer, {CONNECTIONS} connections, \
         {ROUNDS} rounds of {SECONDS} s in turn\n"
    );
    let mut runs = vec![Vec::new(); subjects.len()];
    for _ in 0..ROUNDS {
        for (runs, (_, server)) in runs.iter_mut().zip(&subjects) {
            runs.push(wrk::run(server, &work, CONNECTIONS, SECONDS)?);
        }
    }
    let medians: Vec<wrk::Run> = runs.iter().map(|runs| wrk::median(runs)).collect();
    println!("| server | req/s | CPU µs/req | p50 µs | p99 µs |\n|---|---|---|---|---|");
    for ((name, _), run) in subjects.iter().zip(&medians) {
        println!(
            "| {name} | {:.0} | {:.1} | {:.0} | {:.0} |",
            run.rate, run.cpu, run.p50, run.p99
        );
    }
    println!(
        "| ratio | {:.2} | {:.2} | | |",
        medians[0].rate / medians[1].rate,
        medians[0].cpu / medians[1].cpu
    );
    Ok(())
}

/// Writes the pairs and returns the read of all of them.
fn read_work(authkv: &Server, token: &str) -> Result<Work> {
    let keys: Vec<String> = (0..KEYS)
        .map(|number| format!("key-{number:012}"))
        .collect();
    let pairs: serde_json::Map<String, Value> = keys
        .iter()
        .map(|key| (key.clone(), json!("v".repeat(32))))
        .collect();
    let write = Work {
        path: "/api/write/",
        token: Some(token.to_owned()),
        body: json!({ "data": pairs }).to_string(),
    };
    authkv.body_of(&write)?;
    Ok(Work {
        path: "/api/read/",
        body: json!({ "keys": keys }).to_string(),
        ..write
    })
}

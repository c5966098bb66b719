//! What processes have used so far, from `/proc` (proc(5)).

use crate::figures::{Figure, Figures};
use crate::Result;
use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};

/// `sysconf(_SC_CLK_TCK)` on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time in µs, user and system.
#[derive(Default)]
struct Usage {
    all: f64,
    /// By the names of the threads, their numbers left out.
    threads: BTreeMap<String, f64>,
}

/// Drives servers by `load`, and adds to its figures what each request has cost their processes. `load` has to tell the
/// number of requests.
pub fn around(pids: &[u32], load: impl FnOnce() -> Result<(f64, Figures)>) -> Result<Figures> {
    let before = usage(pids)?;
    let (requests, mut figures) = load()?;
    let after = usage(pids)?;
    figures.insert(Figure::Cpu, (after.all - before.all) / requests);
    for (name, used) in after.threads {
        let used = used - before.threads.get(&name).copied().unwrap_or_default();
        figures.insert(Figure::Thread(name), used.max(0.0) / requests);
    }
    Ok(figures)
}

/// The resident set of a process, in bytes.
pub fn resident(pid: u32) -> Result<f64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
        .ok_or("a status without VmRSS")?;
    Ok(kibibytes.trim().parse::<f64>()? * 1024.0)
}

fn usage(pids: &[u32]) -> Result<Usage> {
    let mut usage = Usage::default();
    for pid in pids {
        usage.all += cpu(*pid)?;
        for entry in read_dir(format!("/proc/{pid}/task"))? {
            let thread = entry?.path();
            // One that has just ended leaves nothing to read.
            let (Ok(comm), Ok(statistics)) = (
                read_to_string(thread.join("comm")),
                read_to_string(thread.join("schedstat")),
            ) else {
                continue;
            };
            let nanoseconds = statistics.split(' ').next().unwrap_or_default();
            let name = thread_name(comm.trim_end(), thread.ends_with(pid.to_string()));
            *usage.threads.entry(name).or_default() += nanoseconds.parse::<f64>()? / 1000.0;
        }
    }
    Ok(usage)
}

/// Fields 14 and 15 of `stat`: threads that have ended count too.
fn cpu(pid: u32) -> Result<f64> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("an odd stat file")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>);
    Ok(ticks.sum::<std::result::Result<f64, _>>()? / TICKS_PER_SECOND * 1e6)
}

/// `authkv-http-1` is one of `authkv-http`. Tarantool's first thread is tx.
fn thread_name(comm: &str, first: bool) -> String {
    match (comm, first) {
        ("tarantool", true) => "tx".to_owned(),
        _ => comm
            .trim_end_matches(|c: char| c.is_ascii_digit() || "-_/:#".contains(c))
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_grouped_by_their_names_without_numbers() {
        assert_eq!(thread_name("authkv-http-1", false), "authkv-http");
        assert_eq!(thread_name("tarantool", true), "tx");
        assert_eq!(thread_name("redis-server", true), "redis-server");
        assert_eq!(thread_name("iproto", false), "iproto");
    }

    #[test]
    fn this_process_is_measured() {
        let pid = std::process::id();
        assert!(resident(pid).is_ok_and(|bytes| bytes > 100_000.0));
        let figures = around(&[pid], || Ok((1.0, Figures::new())));
        assert!(figures.is_ok_and(|figures| figures[&Figure::Cpu] >= 0.0));
    }
}

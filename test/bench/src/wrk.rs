//! One run of `wrk`.

use crate::server::{Server, Work};
use crate::Result;
use std::io::Write;
use std::process::Command;

/// What a run has measured.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Requests per second.
    pub rate: f64,
    /// The server's CPU time per request, in µs.
    pub cpu: f64,
    /// Latencies in µs.
    pub p50: f64,
    pub p99: f64,
}

/// Drives a server for some seconds. Fails where any answer was not a success.
pub fn run(server: &Server, work: &Work, connections: u32, seconds: u32) -> Result<Run> {
    let mut script = tempfile::NamedTempFile::new()?;
    write!(
        script,
        "wrk.method = 'POST'\nwrk.body = [==[{}]==]\nwrk.headers['Authorization'] = 'Bearer {}'\n\
         wrk.headers['Content-Type'] = 'application/json'\n\
         done = function(summary, latency)\n\
           local e = summary.errors\n\
           print('RESULT', summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),\n\
             e.connect + e.read + e.write + e.status + e.timeout)\n\
         end\n",
        work.body,
        work.token.as_deref().unwrap_or_default()
    )?;
    let before = server.cpu()?;
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{connections}"),
            &format!("-d{seconds}s"),
            "-s",
        ])
        .arg(script.path())
        .arg(format!("http://127.0.0.1:{}{}", server.port, work.path))
        .output()?;
    let cpu = server.cpu()? - before;
    let text = String::from_utf8(output.stdout)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("RESULT"))
        .ok_or_else(|| text.clone())?;
    let figures: Vec<f64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    let [requests, duration, p50, p99, errors] = figures[..] else {
        return Err(text.into());
    };
    if errors > 0.0 || requests == 0.0 {
        return Err(format!("{errors} errors in {requests} requests").into());
    }
    Ok(Run {
        rate: requests / duration * 1e6,
        cpu: cpu / requests,
        p50,
        p99,
    })
}

/// The median of each figure.
pub fn median(runs: &[Run]) -> Run {
    let of = |figure: fn(&Run) -> f64| {
        let mut figures: Vec<f64> = runs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Run {
        rate: of(|run| run.rate),
        cpu: of(|run| run.cpu),
        p50: of(|run| run.p50),
        p99: of(|run| run.p99),
    }
}

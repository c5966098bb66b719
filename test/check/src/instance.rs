//! An instance: `tarantool init.lua` with data and ports of its own, which can be restarted and is ended when dropped.

use crate::port::free_port;
use crate::Result;
use rustix::process::{kill_process, Pid, Signal};
use std::io::{BufRead, BufReader, PipeReader};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const ADMIN_PASSWORD: &str = "Admin-Secret-91!";
/// Of the Tarantool user `authkv`.
pub const CLIENT_PASSWORD: &str = "client-secret-2b7e";
/// Only bounds a hang.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Instance {
    pub http_port: u16,
    pub iproto_port: u16,
    data: TempDir,
    running: Option<Running>,
    /// With `memtx_use_mvcc_engine`.
    mvcc: bool,
    /// What the process has said over all its starts.
    output: Arc<Mutex<Vec<String>>>,
}

struct Running {
    process: Child,
    pump: JoinHandle<()>,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As an operator stops it.
    Stop,
    /// As a crash: kill -9.
    Kill,
}

impl Instance {
    /// A new one with no data, which serves; with `memtx_use_mvcc_engine` if `mvcc` says so. Errors: also a Tarantool that
    /// does not have that.
    pub fn start(mvcc: bool) -> Result<Self> {
        let mut instance = Self {
            http_port: free_port()?,
            iproto_port: free_port()?,
            data: TempDir::with_prefix("authkv-check-")?,
            running: None,
            mvcc,
            output: Arc::default(),
        };
        instance.launch()?;
        match !mvcc || instance.has_said("memtx_use_mvcc_engine is on") {
            true => Ok(instance),
            false => Err("this Tarantool has not taken memtx_use_mvcc_engine".into()),
        }
    }

    /// Ends the process and starts it again with the same data and ports. Errors: one that does not end by itself with
    /// code 0 where it is stopped, or does not serve again.
    pub fn restart(&mut self, end: End) -> Result<()> {
        self.end(end)?;
        self.launch()
    }

    /// Ends the process.
    pub fn end(&mut self, end: End) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        let status = match end {
            End::Kill => {
                running.process.kill()?;
                running.process.wait()?
            }
            End::Stop => {
                kill_process(Pid::from_child(&running.process), Signal::TERM)?;
                let deadline = Instant::now() + DEADLINE;
                loop {
                    if let Some(status) = running.process.try_wait()? {
                        break status;
                    }
                    if Instant::now() > deadline {
                        running.process.kill()?;
                        break running.process.wait()?;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        // Nothing else writes to the pipe, so the pump ends.
        let _ = running.pump.join();
        match end == End::Kill || status.success() {
            true => Ok(()),
            false => Err(format!("ended with {status}:\n{}", self.tail()).into()),
        }
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.running
            .as_mut()
            .is_some_and(|running| matches!(running.process.try_wait(), Ok(None)))
    }

    fn has_said(&self, text: &str) -> bool {
        let lines = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().any(|line| line.contains(text))
    }

    /// The last lines the process has said, for a report.
    pub fn tail(&self) -> String {
        let lines = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn launch(&mut self) -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (reader, writer) = std::io::pipe()?;
        // setpriv, so that a process does not outlive this program however that ends.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "tarantool", "init.lua"])
            .current_dir(root)
            .env("AUTHKV_DATA_DIR", self.data.path())
            .env(
                "AUTHKV_HTTP_LISTEN",
                format!("127.0.0.1:{}", self.http_port),
            )
            .env(
                "AUTHKV_IPROTO_LISTEN",
                format!("127.0.0.1:{}", self.iproto_port),
            )
            .env("AUTHKV_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("AUTHKV_CLIENT_PASSWORD", CLIENT_PASSWORD)
            .env("AUTHKV_TOKEN_TTL", "86400")
            // Keys and hashes that take no time.
            .env("AUTHKV_TOKEN_ALGORITHM", "EdDSA")
            .env("AUTHKV_ARGON2_MEMORY", "64")
            .env("AUTHKV_ARGON2_ITERATIONS", "1")
            .env("TT_MEMTX_USE_MVCC_ENGINE", self.mvcc.to_string())
            .stdin(std::process::Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let process = command.spawn()?;
        // Its writers are the process's only, so that the pipe ends with it.
        drop(command);
        let (ready, is_ready) = channel();
        let output = Arc::clone(&self.output);
        let pump = std::thread::spawn(move || read_output(reader, &output, &ready));
        self.running = Some(Running { process, pump });
        match is_ready.recv_timeout(DEADLINE) {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("did not start:\n{}", self.tail()).into()),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.end(End::Kill);
    }
}

/// Runs on a thread of its own until the process ends.
fn read_output(reader: PipeReader, output: &Mutex<Vec<String>>, ready: &Sender<()>) {
    for line in BufReader::new(reader)
        .split(b'\n')
        .map_while(|line| line.ok())
    {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line == "authkv: ready" {
            let _ = ready.send(());
        }
        output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

//! Processes that this program starts: with data of their own, and ended with it, however it ends.

use crate::Result;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Only bounds a hang; the first start of authkv makes an RSA key.
const DEADLINE: Duration = Duration::from_secs(120);

/// A server that runs.
pub struct Process {
    child: Child,
    _data: TempDir,
}

impl Process {
    /// Starts what `command` makes, which is given the directory for its data, and waits until `ready` of all it has said.
    pub fn start(
        root: &Path,
        command: impl FnOnce(&Path) -> Result<Command>,
        ready: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let data = TempDir::new_in(root)?;
        let log = data.path().join("output.log");
        let output = std::fs::File::create(&log)?;
        let mut command = command(data.path())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut process = Self { child, _data: data };
        let end = Instant::now() + DEADLINE;
        loop {
            let said = std::fs::read_to_string(&log)?;
            if ready(&said) {
                return Ok(process);
            }
            if process.child.try_wait()?.is_some() || Instant::now() > end {
                return Err(format!("{command:?} did not start:\n{said}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that does not outlive the thread that starts it, which is the main thread.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program.as_ref());
    command
}

/// Errors: it is not on `PATH`; how to get it.
pub fn needs(program: &str, package: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).any(|directory: PathBuf| directory.join(program).is_file());
    match found {
        true => Ok(()),
        false => Err(format!("{program} is not installed: apt-get install {package}").into()),
    }
}

/// Whether something listens there.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

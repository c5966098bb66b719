//! What the results were measured on, and with.

use crate::options::{measured, Options};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// Debian's packages of what is measured or measures.
const PACKAGES: [&str; 5] = ["tarantool", "redis-server", "webdis", "etcd-server", "wrk"];

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    /// Of programs; those that are not known are left out.
    pub versions: BTreeMap<String, String>,
    /// Of authkv, as git describes it.
    pub commit: Option<String>,
    pub against: Option<String>,
    pub unix_time: u64,
}

impl Machine {
    /// This one.
    pub fn new(options: &Options) -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let cpu = info.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            cpu: cpu.unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            versions: versions(),
            commit: commit(&measured()),
            against: options.against.as_deref().and_then(commit),
            unix_time: now.map_or(0, |time| time.as_secs()),
        }
    }
}

fn versions() -> BTreeMap<String, String> {
    // It knows what it can of packages, and fails where it does not know one.
    let packages = output(
        Command::new("dpkg-query")
            .args(["-W", "-f=${Package} ${Version}\n"])
            .args(PACKAGES),
    );
    let code = "local found, version = pcall(require, 'http.version') print(found and version or '') os.exit()";
    let rock = output(crate::subjects::lua::tarantool().args(["-e", code]));
    let rock = rock.lines().next().map(|version| ("http rock", version));
    packages
        .lines()
        .filter_map(|line| line.split_once(' '))
        .chain(rock)
        .filter(|(_, version)| !version.is_empty())
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

fn commit(checkout: &Path) -> Option<String> {
    let described = output(Command::new("git").arg("-C").arg(checkout).args([
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]));
    let described = described.trim();
    (!described.is_empty()).then(|| described.to_owned())
}

/// What a command says; nothing where it cannot be started.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

//! The files of Tarantool in a directory, by the numbers in their names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The numbers of snapshots and logs, in order.
#[derive(Debug, Default)]
pub struct Files {
    pub snapshots: Vec<u64>,
    pub logs: Vec<u64>,
    /// Files that were not finished.
    pub unfinished: Vec<PathBuf>,
}

impl Files {
    /// Lists a directory.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((number, ending)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            match (number.parse(), ending) {
                (Ok(number), "snap") => files.snapshots.push(number),
                (Ok(number), "xlog") => files.logs.push(number),
                (Ok(_), "snap.inprogress" | "xlog.inprogress" | "vylog.inprogress") => {
                    files.unfinished.push(entry.path());
                }
                _ => {}
            }
        }
        files.snapshots.sort_unstable();
        files.logs.sort_unstable();
        files.unfinished.sort_unstable();
        Ok(files)
    }

    /// The logs that the newest snapshot needs: the one in which it was made, and all that follow.
    pub fn needed_logs(&self) -> &[u64] {
        let newest = self.snapshots.last().copied().unwrap_or(0);
        let newer = self.logs.partition_point(|log| *log <= newest);
        &self.logs[newer.saturating_sub(1)..]
    }
}

/// The path of the snapshot with this number.
pub fn snapshot_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.snap"))
}

/// The path of the log with this number.
pub fn log_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.xlog"))
}

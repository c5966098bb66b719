//! The directory of the data: its snapshots and logs of writes, by their names.

use crate::Report;
use authkv_xlog::{is_closed_snapshot, snapshot_path, Files};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The directory, which no other process uses meanwhile.
pub struct Directory<'a> {
    pub path: &'a Path,
    /// Holds the lock.
    lock: File,
}

impl<'a> Directory<'a> {
    /// Makes the directory if it is missing, and locks it as Tarantool does (flock(2)), so that nothing is changed under a
    /// process that uses it.
    pub fn open(path: &'a Path) -> Result<Self, String> {
        let shown = path.display();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| format!("cannot make the directory {shown}: {e}"))?;
        let lock = File::open(path).map_err(|e| format!("cannot open {shown}: {e}"))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => Err(format!(
                "another process uses the directory {shown}, which is AUTHKV_DATA_DIR"
            )),
            // Some file systems have no locks; Tarantool says so.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path, lock }),
        }
    }

    pub fn files(&self) -> Result<Files, String> {
        Files::of(self.path).map_err(|e| format!("cannot read {}: {e}", self.path.display()))
    }

    /// Removes what an unfinished first start has left, which Tarantool 2.6 would stumble over.
    pub fn remove_unfinished(&self, files: &Files, report: &mut Report) -> Result<(), String> {
        if !files.snapshots.is_empty() || !files.logs.is_empty() {
            return Ok(());
        }
        for path in &files.unfinished {
            let shown = path.display();
            fs::remove_file(path).map_err(|e| format!("cannot remove {shown}: {e}"))?;
            report.warnings.push(format!(
                "{shown} was removed: the first start did not finish it"
            ));
        }
        Ok(())
    }

    /// Refuses logs without a snapshot. Tarantool would make an empty database beside them.
    pub fn check_snapshots(&self, files: &Files) -> Result<(), String> {
        let (Some(first), Some(last), true) = (
            files.logs.first(),
            files.logs.last(),
            files.snapshots.is_empty(),
        ) else {
            return Ok(());
        };
        Err(format!(
            "{} has logs of writes (from {first:020}.xlog to {last:020}.xlog) and no snapshot (.snap): a start would make an \
             empty database beside them. Put the snapshots back, from a back-up or from where they are now; or, to begin with \
             an empty database, move the .xlog files away. AUTHKV_FORCE_RECOVERY=true does not help: it skips damaged parts \
             of files, and the logs alone do not have the data",
            self.path.display()
        ))
    }

    /// Refuses a newest snapshot that was not finished or not written to the disk, unless the recovery is forced.
    pub fn check_newest_snapshot(
        &self,
        files: &Files,
        forced: bool,
        report: &mut Report,
    ) -> Result<(), String> {
        let Some(newest) = files.snapshots.last() else {
            return Ok(());
        };
        let path = snapshot_path(self.path, *newest);
        let shown = path.display();
        let is_closed = File::open(&path).and_then(is_closed_snapshot);
        if is_closed.map_err(|e| format!("cannot read {shown}: {e}"))? {
            return Ok(());
        }
        let said = format!("{shown} is no whole snapshot: its beginning or its end is missing");
        if forced {
            report.warnings.push(said);
            return Ok(());
        }
        let older = files.snapshots.iter().rev().nth(1);
        let has_logs = |older: &&u64| files.logs.first().is_some_and(|log| log <= older);
        Err(match older.filter(has_logs) {
            Some(older) => format!(
                "{said}. Move it away: {} and the logs after it have the same data",
                snapshot_path(self.path, *older).display()
            ),
            None => {
                format!("{said}, and no older one with its logs is there. Bring back a back-up")
            }
        })
    }

    /// Writes the names of the files to the disk.
    pub fn sync(&self) -> Result<(), String> {
        match self.lock.sync_all() {
            // Some file systems cannot do it for a directory.
            Err(e) if e.kind() != io::ErrorKind::InvalidInput => Err(format!(
                "cannot write the directory {} to the disk: {e}",
                self.path.display()
            )),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

//! The directory of the data: its snapshots and logs of writes, by their names, and the end of the newest log.

use crate::Report;
use authkv_xlog::{log_path, scan, End, Files};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The directory, which no other process uses meanwhile.
pub struct Directory<'a> {
    path: &'a Path,
    /// Holds the lock.
    _lock: File,
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
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path, _lock: lock }),
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

    /// Cuts off the torn end of the newest log. Refuses a newest log that is damaged, unless the recovery is forced.
    pub fn mend_log(&self, files: &Files, forced: bool, report: &mut Report) -> Result<(), String> {
        let Some(number) = files.logs.last() else {
            return Ok(());
        };
        let path = log_path(self.path, *number);
        let shown = path.display().to_string();
        let failed = |what: &str, e: io::Error| format!("cannot {what} {shown}: {e}");
        let log = File::open(&path).map_err(|e| failed("open", e))?;
        let size = log.metadata().map_err(|e| failed("read", e))?.len();
        match scan(log).map_err(|e| failed("read", e))? {
            End::Whole => Ok(()),
            // Nothing of the file is durable.
            End::Torn { at: 0 } => {
                let copy = torn_path(&path, 0);
                fs::rename(&path, &copy).map_err(|e| failed("move", e))?;
                report.warnings.push(format!(
                    "the {size} bytes of {shown} are no whole record, as a loss of power leaves them: the file is now {}",
                    copy.display()
                ));
                Ok(())
            }
            End::Torn { at } => {
                let kept = keep(&path, at);
                cut(&path, at).map_err(|e| failed("cut", e))?;
                let copy = match kept {
                    Ok(copy) => format!("{} has them", copy.display()),
                    Err(e) => format!("no copy was kept: {e}"),
                };
                report.warnings.push(format!(
                    "{} bytes at the end of {shown}, from byte {at} on, are no whole record, as a loss of power leaves them: \
                     they were cut off; {copy}",
                    size - at
                ));
                Ok(())
            }
            End::Damaged { at, next } => {
                let next = match next {
                    Some(next) => format!("whole ones follow from byte {next} on"),
                    None => format!("the file has {size} bytes"),
                };
                let said = format!(
                    "{shown} is damaged: what begins at byte {at} is no whole record, and {next}"
                );
                if forced {
                    report.warnings.push(format!(
                        "{said}. With AUTHKV_FORCE_RECOVERY=true what cannot be read is skipped, and the writes in it are lost"
                    ));
                    return Ok(());
                }
                Err(format!(
                    "{said}. A loss of power does not leave this alone, so nothing was cut off. Bring back a back-up; or start \
                     once with AUTHKV_FORCE_RECOVERY=true, which skips what cannot be read: the writes in it are lost, and \
                     later ones that rest on them may be wrong"
                ))
            }
        }
    }
}

/// Copies what is about to be cut off to a file beside the log, without the zeros at its end.
fn keep(path: &Path, at: u64) -> io::Result<PathBuf> {
    let mut log = File::open(path)?;
    log.seek(SeekFrom::Start(at))?;
    let mut torn = Vec::new();
    log.read_to_end(&mut torn)?;
    torn.truncate(
        torn.iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1),
    );
    let copy = torn_path(path, at);
    // It has what the log has: values and hashes of passwords.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&copy)?;
    file.write_all(&torn)?;
    file.sync_all()?;
    Ok(copy)
}

fn cut(path: &Path, at: u64) -> io::Result<()> {
    let log = OpenOptions::new().write(true).open(path)?;
    log.set_len(at)?;
    log.sync_all()
}

/// Where what does not belong to a log from this byte on is kept.
fn torn_path(log: &Path, at: u64) -> PathBuf {
    log.with_extension(format!("xlog.torn-{at}"))
}

#[cfg(test)]
mod tests;

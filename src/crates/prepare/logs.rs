//! The logs that the newest snapshot needs: each one whole, and each one going on where the one before it ends.

use crate::directory::Directory;
use crate::Report;
use authkv_xlog::{log_path, reach, scan, End, Files};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A log as it was found.
struct Log {
    number: u64,
    path: PathBuf,
    size: u64,
    end: End,
    /// Nothing of it would be lost with it.
    is_empty: bool,
    /// The number that the next log has if nothing is lost. `None` if it is not known.
    reach: Option<u64>,
}

impl Log {
    fn look(directory: &Path, number: u64, is_newest: bool) -> Result<Self, String> {
        let path = log_path(directory, number);
        let failed = |what: &str, e: io::Error| format!("cannot {what} {}: {e}", path.display());
        let mut file = File::open(&path).map_err(|e| failed("open", e))?;
        let size = file.metadata().map_err(|e| failed("read", e))?.len();
        let scan = scan(&file).map_err(|e| failed("read", e))?;
        let is_empty = !scan.has_records && !matches!(scan.end, End::Damaged { .. });
        let reach = if is_empty {
            Some(number)
        } else if is_newest {
            None
        } else {
            file.rewind().map_err(|e| failed("read", e))?;
            reach(file).map_err(|e| failed("read", e))?
        };
        Ok(Self {
            number,
            path,
            size,
            end: scan.end,
            is_empty,
            reach,
        })
    }

    fn failed(&self, what: &str, e: &io::Error) -> String {
        format!("cannot {what} {}: {e}", self.path.display())
    }

    /// What is wrong with it if it is damaged.
    fn damage(&self) -> Option<String> {
        let End::Damaged { at, next } = self.end else {
            return None;
        };
        let shown = self.path.display();
        let next = match next {
            Some(next) => format!("whole ones follow from byte {next} on"),
            None => format!("the file has {} bytes", self.size),
        };
        Some(format!(
            "{shown} is damaged: what begins at byte {at} is no whole record, and {next}"
        ))
    }

    /// Cuts off what is no whole record, and keeps a copy.
    fn cut(&self, report: &mut Report) -> Result<(), String> {
        let (End::Torn { at }, shown) = (self.end, self.path.display()) else {
            return Ok(());
        };
        if at == 0 {
            let copy = self.move_away()?;
            report.warnings.push(format!(
                "the {} bytes of {shown} are no whole record, as a loss of power leaves them: the file is now {}",
                self.size,
                copy.display()
            ));
            return Ok(());
        }
        let kept = keep(&self.path, at);
        cut(&self.path, at).map_err(|e| self.failed("cut", &e))?;
        let copy = match kept {
            Ok(copy) => format!("{} has them", copy.display()),
            Err(e) => format!("no copy was kept: {e}"),
        };
        report.warnings.push(format!(
            "{} bytes at the end of {shown}, from byte {at} on, are no whole record, as a loss of power leaves them: \
             they were cut off; {copy}",
            self.size - at
        ));
        Ok(())
    }

    fn move_away(&self) -> Result<PathBuf, String> {
        let copy = torn_path(&self.path, 0);
        fs::rename(&self.path, &copy).map_err(|e| self.failed("move", &e))?;
        Ok(copy)
    }

    /// Tarantool goes on in a log without records, and does not open it as `WAL_MODE=fsync` demands. Without it, it makes a new
    /// one with the first write.
    fn remove_empty(&self, reach: Option<u64>, report: &mut Report) -> Result<(), String> {
        self.cut(report)?;
        if self.end == (End::Torn { at: 0 }) {
            return Ok(());
        }
        let Some(reach) = reach.filter(|reach| *reach < self.number) else {
            return fs::remove_file(&self.path).map_err(|e| self.failed("remove", &e));
        };
        let copy = self.move_away()?;
        report.warnings.push(format!(
            "the logs end at {reach}, but {} was begun at {}: the writes between are lost, as a loss of power leaves it with \
             WAL_MODE=write. The log has no record; it is now {}",
            self.path.display(),
            self.number,
            copy.display()
        ));
        Ok(())
    }

    /// An earlier process may have run with `WAL_MODE=write`: the disk has to have what later writes rest on.
    fn sync(&self) -> Result<(), String> {
        let synced = File::open(&self.path).and_then(|log| log.sync_all());
        synced.map_err(|e| self.failed("write to the disk what is in", &e))
    }
}

impl Directory<'_> {
    /// Cuts off the torn end of the log, and writes the logs to the disk. Refuses logs that are damaged, or do not follow one
    /// another, unless the recovery is forced.
    pub fn mend_logs(
        &self,
        files: &Files,
        forced: bool,
        report: &mut Report,
    ) -> Result<(), String> {
        let numbers = files.needed_logs();
        let logs = numbers
            .iter()
            .map(|number| Log::look(self.path, *number, Some(number) == numbers.last()))
            .collect::<Result<Vec<_>, _>>()?;
        // Only empty ones follow.
        let empty = logs
            .iter()
            .rposition(|log| !log.is_empty)
            .map_or(0, |last| last + 1);
        let (logs, empty) = logs.split_at(empty);
        for log in logs {
            log.damage()
                .map_or(Ok(()), |said| allow(forced, said, DAMAGED, report))?;
        }
        // Without a whole head, a log says nothing of what was before it.
        let alone = empty
            .iter()
            .find(|log| logs.is_empty() && log.end != End::Torn { at: 0 });
        let snapshot = files.snapshots.last().copied();
        let mut before = ("the newest snapshot".to_owned(), snapshot);
        for log in logs.iter().chain(alone) {
            if let (what, Some(reach)) = &before {
                if *reach < log.number {
                    let shown = log.path.display();
                    let said = format!(
                        "{what} ends at {reach}, and the next log, {shown}, begins at {}: the writes between are missing",
                        log.number
                    );
                    allow(forced, said, MISSING, report)?;
                }
            }
            before = (log.path.display().to_string(), log.reach);
        }
        let (_, reach) = before;
        for (n, log) in logs.iter().enumerate() {
            // Another one than the newest may only lose what no later one rests on.
            let next = logs.get(n + 1).map(|next| next.number);
            let has_all = next.is_none() || log.reach.is_some() && log.reach == next;
            // Tarantool does not start beside a log without a head, not even once there is a newer snapshot.
            let has_none = log.end == End::Torn { at: 0 };
            if has_all || has_none {
                log.cut(report)?;
            }
            if !has_none {
                log.sync()?;
            }
        }
        for log in empty {
            log.remove_empty(reach, report)?;
        }
        self.sync()
    }
}

const DAMAGED: &str = "A loss of power does not leave this alone, so nothing was cut off";
const MISSING: &str = "They were acknowledged, and later ones are there";

/// Refuses a start with what was found, or goes on if the recovery is forced.
fn allow(forced: bool, said: String, why: &str, report: &mut Report) -> Result<(), String> {
    if forced {
        report.warnings.push(format!(
            "{said}. With AUTHKV_FORCE_RECOVERY=true what cannot be read is skipped, and the writes in it are lost"
        ));
        return Ok(());
    }
    Err(format!(
        "{said}. {why}. Bring back a back-up; or start once with AUTHKV_FORCE_RECOVERY=true, which skips what cannot be read: the \
         writes in it are lost, and later ones that rest on them may be wrong"
    ))
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

//! Whether the files that a running process has written are still in its directories.
//!
//! Tarantool writes to files that are open. If they are removed, or their directory is replaced, it goes on as if nothing had
//! happened, and what it acknowledges is lost with the process.

use crate::files::{log_path, Files};
use crate::open_log::{identity, writes_to_removed_log, Fate, Identity, OpenLog};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A directory as it was at the first look.
struct Watched {
    path: PathBuf,
    identity: Identity,
    /// Open, so that no other directory gets its number.
    _open: File,
}

impl Watched {
    fn new(path: PathBuf) -> io::Result<Self> {
        let open = File::open(&path)?;
        let metadata = open.metadata()?;
        Ok(Self {
            path,
            identity: (metadata.dev(), metadata.ino()),
            _open: open,
        })
    }

    /// Errors: what has happened to the directory. If that cannot be found out, nothing has.
    fn look(&self) -> Result<(), String> {
        let shown = self.path.display();
        match identity(&self.path) {
            Ok(found) if found != self.identity => {
                Err(format!("another directory has taken the place of {shown}"))
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Err(format!("the directory {shown} is gone"))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The directories of a running process.
pub struct Watch {
    logs: Watched,
    snapshots: Watched,
    /// The logs at the last look.
    names: BTreeSet<u64>,
    /// The newest one.
    newest: Option<(u64, Identity)>,
    open: Option<OpenLog>,
    /// Whether the open files are to be looked at, because the newest log is another one, or another one is open.
    has_changed: bool,
}

impl Watch {
    /// Begins to watch the directory of the logs and that of the snapshots.
    pub fn new(logs: PathBuf, snapshots: PathBuf) -> io::Result<Self> {
        Ok(Self {
            names: Files::of(&logs)?.logs.into_iter().collect(),
            logs: Watched::new(logs)?,
            snapshots: Watched::new(snapshots)?,
            newest: None,
            open: None,
            // What was removed before the first look.
            has_changed: true,
        })
    }

    /// Looks at the directories. Reads directories, so it blocks. Errors: what is lost.
    pub fn look(&mut self) -> Result<(), String> {
        self.logs.look()?;
        self.snapshots.look()?;
        // Before the snapshots: Tarantool removes a log after those that need it.
        let logs = Files::of(&self.logs.path).ok().map(|files| files.logs);
        self.look_at_snapshots(logs.as_deref())?;
        match self.open.as_mut().map(OpenLog::look) {
            Some(Fate::Lost(what)) => return Err(what),
            Some(Fate::Closed) => {
                self.open = None;
                self.has_changed = true;
            }
            Some(Fate::Open) | None => {}
        }
        let Some(logs) = logs else {
            return Ok(());
        };
        let newest = logs.last().and_then(|number| {
            let path = log_path(&self.logs.path, *number);
            Some((*number, identity(&path).ok()?))
        });
        self.has_changed |= newest != self.newest;
        if self.has_changed && writes_to_removed_log() {
            return Err(format!(
                "the log of writes was removed from {}",
                self.logs.path.display()
            ));
        }
        if let (true, Some((number, _)), None) = (self.has_changed, newest, &self.open) {
            self.open = OpenLog::find(&self.logs.path, number);
        }
        self.newest = newest;
        self.names = logs.into_iter().collect();
        self.has_changed = false;
        Ok(())
    }

    /// Whether there is a snapshot, and the logs that the newest one needs.
    fn look_at_snapshots(&self, logs: Option<&[u64]>) -> Result<(), String> {
        // A snapshot that becomes finished while the directory is read may not be in the list.
        let newest = || match Files::of(&self.snapshots.path) {
            Ok(files) => Ok(files.snapshots.last().copied()),
            Err(e) => Err(e),
        };
        let newest = match newest() {
            Ok(None) => newest(),
            found => found,
        };
        let newest = match newest {
            Ok(Some(newest)) => newest,
            Ok(None) => {
                return Err(format!(
                    "no snapshot (.snap) is left in {}",
                    self.snapshots.path.display()
                ))
            }
            Err(_) => return Ok(()),
        };
        let Some(logs) = logs else {
            return Ok(());
        };
        let known: BTreeSet<u64> = self.names.iter().chain(logs).copied().collect();
        let missing = self.names.iter().find(|number| {
            let follower = known.range(*number + 1..).next();
            let is_needed = **number >= newest || follower.is_some_and(|next| *next > newest);
            is_needed && !logs.contains(number) && is_missing(&log_path(&self.logs.path, **number))
        });
        match missing {
            Some(number) => Err(format!(
                "a log of writes, {}, was removed or moved, and the snapshot needs it",
                log_path(&self.logs.path, *number).display()
            )),
            None => Ok(()),
        }
    }
}

fn is_missing(path: &Path) -> bool {
    matches!(identity(path), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::fs::OpenOptions;
    use std::io::Write;

    const SNAP: &str = "00000000000000000000.snap";

    /// A directory with a snapshot and a log, and the log open as the process has it.
    fn begin(name: &str) -> (PathBuf, Watch, File) {
        let path = std::env::temp_dir().join(format!("authkv-watch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(SNAP), "").unwrap();
        let log = begin_log(&path, 4);
        let mut watch = Watch::new(path.clone(), path.clone()).unwrap();
        watch.look().unwrap();
        (path, watch, log)
    }

    fn begin_log(path: &Path, number: u64) -> File {
        let mut log = File::create(log_path(path, number)).unwrap();
        write!(log, "XLOG {number}").unwrap();
        log
    }

    fn lost(watch: &mut Watch, part: &str) {
        for _ in 0..2 {
            let said = watch.look().unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }

    // One test, because it is about the open files of the whole process.
    #[test]
    fn what_is_lost_is_noticed_and_what_tarantool_does_is_not() {
        let (path, mut watch, log) = begin("rotated");
        // The log is closed and collected after a snapshot; the next one comes with the next write.
        fs::write(path.join("00000000000000000009.snap"), "").unwrap();
        fs::remove_file(path.join(SNAP)).unwrap();
        drop(log);
        fs::remove_file(log_path(&path, 4)).unwrap();
        // The next log may get the descriptor and the number of the file.
        let log = begin_log(&path, 9);
        watch.look().unwrap();
        fs::write(path.join("00000000000000000012.snap"), "").unwrap();
        // A replica reads a log that is collected.
        let read = File::open(log_path(&path, 9)).unwrap();
        drop(log);
        fs::remove_file(log_path(&path, 9)).unwrap();
        watch.look().unwrap();
        drop(read);

        let (path, mut watch, log) = begin("removed");
        fs::remove_dir_all(&path).unwrap();
        lost(&mut watch, "is gone");
        drop(log);

        let (path, mut watch, log) = begin("replaced");
        fs::rename(&path, path.with_extension("old")).unwrap();
        fs::create_dir(&path).unwrap();
        lost(&mut watch, "has taken the place");
        fs::remove_dir(&path).unwrap();
        fs::rename(path.with_extension("old"), &path).unwrap();
        watch.look().unwrap();
        drop(log);

        let (path, mut watch, log) = begin("no-snapshot");
        fs::remove_file(path.join(SNAP)).unwrap();
        lost(&mut watch, "no snapshot");
        drop(log);

        let (path, mut watch, log) = begin("no-log");
        fs::remove_file(log_path(&path, 4)).unwrap();
        lost(&mut watch, "log of writes");
        // Another file of this name is not the log.
        let other = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(log_path(&path, 4));
        other.unwrap();
        lost(&mut watch, "log of writes");
        // Nor for who begins to watch later.
        let mut later = Watch::new(path.clone(), path.clone()).unwrap();
        lost(&mut later, "the log of writes");
        drop(log);

        let moved = |path: &Path| log_path(path, 4).with_extension("away");
        let (path, mut watch, log) = begin("moved");
        fs::rename(log_path(&path, 4), moved(&path)).unwrap();
        lost(&mut watch, "was removed or moved");
        drop(log);

        for cut in [0, 3, 9, 700] {
            let (path, mut watch, mut log) = begin("cut");
            log.write_all(&[7; 2000]).unwrap();
            watch.look().unwrap();
            // What was not there at two looks may be taken back.
            log.write_all(&[8; 1000]).unwrap();
            watch.look().unwrap();
            log.set_len(2006).unwrap();
            watch.look().unwrap();
            watch.look().unwrap();
            log.set_len(cut).unwrap();
            // The process goes on at its place.
            log.write_all(b"row").unwrap();
            lost(&mut watch, "was cut off or overwritten");
            drop(log);
            fs::remove_dir_all(path).unwrap();
        }

        let (path, mut watch, log) = begin("older");
        let newer = begin_log(&path, 9);
        drop(log);
        watch.look().unwrap();
        fs::remove_file(log_path(&path, 4)).unwrap();
        lost(&mut watch, "the snapshot needs it");
        drop(newer);
        let names = [
            "rotated",
            "replaced",
            "no-snapshot",
            "no-log",
            "moved",
            "older",
        ];
        for name in names {
            let path =
                std::env::temp_dir().join(format!("authkv-watch-{name}-{}", std::process::id()));
            fs::remove_dir_all(path).unwrap();
        }
    }
}

//! Whether the files that a running process has written are still in its directories.
//!
//! Tarantool writes to files that are open. If they are removed, or their directory is replaced, it goes on as if nothing had
//! happened, and what it acknowledges is lost with the process.

use crate::files::{log_path, Files};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The device and the number of a file, which no other file has while this one is open.
type Identity = (u64, u64);

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

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
    /// The newest log at the last look.
    newest: Option<(u64, Identity)>,
    /// Whether the open files are to be looked at, because the newest log is another one.
    has_changed: bool,
}

impl Watch {
    /// Begins to watch the directory of the logs and that of the snapshots.
    pub fn new(logs: PathBuf, snapshots: PathBuf) -> io::Result<Self> {
        Ok(Self {
            logs: Watched::new(logs)?,
            snapshots: Watched::new(snapshots)?,
            newest: None,
            // What was removed before the first look.
            has_changed: true,
        })
    }

    /// Looks at the directories. Reads directories, so it blocks. Errors: what is lost.
    pub fn look(&mut self) -> Result<(), String> {
        self.logs.look()?;
        self.snapshots.look()?;
        // A snapshot that becomes finished while the directory is read may not be in the list.
        let has_none =
            |()| matches!(Files::of(&self.snapshots.path), Ok(files) if files.snapshots.is_empty());
        if [(), ()].into_iter().all(has_none) {
            return Err(format!(
                "no snapshot (.snap) is left in {}",
                self.snapshots.path.display()
            ));
        }
        let newest = self.newest_log();
        self.has_changed |= newest != self.newest;
        self.newest = newest;
        if self.has_changed && writes_to_removed_log() {
            return Err(format!(
                "the log of writes was removed from {}",
                self.logs.path.display()
            ));
        }
        self.has_changed = false;
        Ok(())
    }

    fn newest_log(&self) -> Option<(u64, Identity)> {
        let number = *Files::of(&self.logs.path).ok()?.logs.last()?;
        Some((number, identity(&log_path(&self.logs.path, number)).ok()?))
    }
}

/// Whether the process has a log open for writing that no directory has any more.
fn writes_to_removed_log() -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return false;
    };
    // proc(5) says how the link of a removed file ends.
    let is_removed_log = |path: &Path| {
        path.to_str()
            .is_some_and(|path| path.ends_with(".xlog (deleted)"))
    };
    descriptors.flatten().any(|descriptor| {
        let path = fs::read_link(descriptor.path());
        path.is_ok_and(|path| is_removed_log(&path)) && is_for_writing(&descriptor.file_name())
    })
}

/// Whether a descriptor of this process is open for writing: `flags` in its file in /proc are those of open(2), in octal.
fn is_for_writing(number: &std::ffi::OsStr) -> bool {
    const READ_ONLY: char = '0';
    let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(number));
    let flags = info.unwrap_or_default();
    let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.is_some_and(|flags| {
        // The last two bits are the access mode.
        let last = flags.trim().chars().last().unwrap_or(READ_ONLY);
        !matches!(last, '0' | '4')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    const SNAP: &str = "00000000000000000000.snap";

    /// A directory with a snapshot and a log, and the log open as the process has it.
    fn begin(name: &str) -> (PathBuf, Watch, File) {
        let path = std::env::temp_dir().join(format!("authkv-watch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(SNAP), "").unwrap();
        let log = File::create(log_path(&path, 4)).unwrap();
        let mut watch = Watch::new(path.clone(), path.clone()).unwrap();
        watch.look().unwrap();
        (path, watch, log)
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
        watch.look().unwrap();
        let log = File::create(log_path(&path, 9)).unwrap();
        watch.look().unwrap();
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
        lost(&mut watch, "the log of writes");
        // Another file of this name is not the log.
        let other = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(log_path(&path, 4));
        other.unwrap();
        lost(&mut watch, "the log of writes");
        // Nor for who begins to watch later.
        let mut later = Watch::new(path.clone(), path.clone()).unwrap();
        lost(&mut later, "the log of writes");
        drop(log);
        for name in ["rotated", "replaced", "no-snapshot", "no-log"] {
            let path =
                std::env::temp_dir().join(format!("authkv-watch-{name}-{}", std::process::id()));
            fs::remove_dir_all(path).unwrap();
        }
    }
}

//! The log that this process has open for writing: whether it is still the file with its name, and has what was written.

use crate::files::log_path;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The device and the number of a file, which no other file has while this one is open.
pub type Identity = (u64, u64);

pub fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The most bytes that are remembered of a place.
const BYTES: u64 = 1024;

/// Bytes of the log, which stay as they are: a log only grows.
struct Mark {
    at: u64,
    bytes: Vec<u8>,
}

impl Mark {
    fn of(file: &File, from: u64, to: u64) -> io::Result<Self> {
        let mut bytes = vec![0; (to - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        Ok(Self { at: from, bytes })
    }

    fn head(file: &File) -> io::Result<Self> {
        Self::of(file, 0, file.metadata()?.len().min(BYTES))
    }

    /// The last bytes.
    fn end(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Self::of(file, size.saturating_sub(BYTES), size)
    }

    fn is_in(&self, file: &File) -> bool {
        let found = Self::of(file, self.at, self.at + self.bytes.len() as u64);
        found.is_ok_and(|found| found.bytes == self.bytes)
    }
}

/// The log, with what it had at earlier looks.
pub struct OpenLog {
    /// Its descriptor, in /proc.
    descriptor: PathBuf,
    path: PathBuf,
    identity: Identity,
    head: Mark,
    /// At the last look. Tarantool takes back what it has written of a record if the disk is full.
    last: Mark,
    /// What was there at two looks: nobody takes that back.
    settled: Option<Mark>,
}

/// What has become of the log.
pub enum Fate {
    Open,
    /// The process writes to it no more.
    Closed,
    Lost(String),
}

impl OpenLog {
    /// Finds the log with this number among the descriptors of the process.
    pub fn find(directory: &Path, number: u64) -> Option<Self> {
        let path = log_path(directory, number);
        let identity = identity(&path).ok()?;
        let descriptor = open_for_writing(|_, found| found == Some(identity))?;
        let file = File::open(&descriptor).ok()?;
        Some(Self {
            head: Mark::head(&file).ok()?,
            last: Mark::end(&file).ok()?,
            settled: None,
            descriptor,
            path,
            identity,
        })
    }

    pub fn look(&mut self) -> Fate {
        // First the name: if Tarantool removes the file, it has closed it before.
        let named = identity(&self.path);
        // To open something else may block.
        if !identity(&self.descriptor).is_ok_and(|found| found == self.identity) {
            return Fate::Closed;
        }
        let Ok(file) = File::open(&self.descriptor) else {
            return Fate::Closed;
        };
        let shown = self.path.display();
        if !named.is_ok_and(|named| named == self.identity) {
            // A new log may have the descriptor and the number of a file that was removed; its head is another one.
            return if self.head.is_in(&file) {
                Fate::Lost(format!("the log of writes, {shown}, was removed or moved"))
            } else {
                Fate::Closed
            };
        }
        let is_kept = self.settled.as_ref().is_none_or(|mark| mark.is_in(&file));
        if !is_kept || !self.head.is_in(&file) {
            return Fate::Lost(format!(
                "the log of writes, {shown}, was cut off or overwritten"
            ));
        }
        let Ok(end) = Mark::end(&file) else {
            return Fate::Open;
        };
        let last = std::mem::replace(&mut self.last, end);
        if last.is_in(&file) {
            self.settled = Some(last);
        }
        Fate::Open
    }
}

/// Whether the process has a log open for writing that no directory has any more.
pub fn writes_to_removed_log() -> bool {
    // proc(5) says how the link of a removed file ends.
    let is_removed = |path: &Path| {
        path.to_str()
            .is_some_and(|path| path.ends_with(".xlog (deleted)"))
    };
    open_for_writing(|path, _| is_removed(path)).is_some()
}

/// A descriptor of this process that is open for writing, by the path of its file and its identity.
fn open_for_writing(is_wanted: impl Fn(&Path, Option<Identity>) -> bool) -> Option<PathBuf> {
    let descriptors = fs::read_dir("/proc/self/fd").ok()?;
    descriptors.flatten().find_map(|descriptor| {
        let path = descriptor.path();
        let to = fs::read_link(&path).ok()?;
        // Sockets and pipes are no files.
        let found = to.is_absolute().then(|| identity(&path).ok()).flatten();
        (is_wanted(&to, found) && is_for_writing(&descriptor.file_name())).then_some(path)
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

//! The course of the wall clock, in a file: so that a start on the same boot of the machine can trust the clock at once. Blocks.

use std::fs;
use std::io;
use std::path::Path;

/// The name of the file in the data directory.
const FILE: &str = "clock";
const DRAFT: &str = "clock.new";
/// Milliseconds by which a course may differ from the record.
const SLACK: u64 = 500;

/// A course that was trusted on one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    boot_id: String,
    course: i64,
    /// Whether the machine has not been booted since.
    is_of_this_boot: bool,
}

impl Record {
    /// The record of this boot. `None` if the system does not tell the id of the boot.
    pub fn of(course: i64) -> Option<Self> {
        Some(Self {
            boot_id: boot_id()?,
            course,
            is_of_this_boot: true,
        })
    }

    /// Reads the record; `None` if there is none. One that cannot be read is of another boot.
    pub fn read(data_dir: &Path) -> Option<Self> {
        let text = match fs::read_to_string(data_dir.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => String::new(),
        };
        let unknown = Self {
            boot_id: String::new(),
            course: 0,
            is_of_this_boot: false,
        };
        Some(Self::parse(&text).unwrap_or(unknown))
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, course) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self {
            boot_id: id.to_owned(),
            course: course.parse().ok()?,
            is_of_this_boot: boot_id().is_some_and(|own| own == id),
        })
    }

    /// Writes the record. It may get lost when the machine loses power: then the machine boots anew.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let draft = data_dir.join(DRAFT);
        fs::write(&draft, format!("{} {}\n", self.boot_id, self.course))?;
        fs::rename(draft, data_dir.join(FILE))
    }

    /// Whether this record is as good as a new one of `course`.
    pub fn says(&self, course: i64) -> bool {
        let here = self.course_of_this_boot();
        here.is_some_and(|own| own.abs_diff(course) <= SLACK)
    }

    /// The course, if the machine has not been booted since.
    pub(super) fn course_of_this_boot(&self) -> Option<i64> {
        self.is_of_this_boot.then_some(self.course)
    }
}

/// An id that is random for each boot of the machine (Linux, proc(5)).
fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (!id.is_empty() && !id.contains(' ')).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_known_on_the_same_boot_only() {
        let directory = std::env::temp_dir().join(format!("authkv-clock-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        assert_eq!(Record::read(&directory), None);
        let own = Record::of(-5000).unwrap();
        own.write(&directory).unwrap();
        let read = Record::read(&directory).unwrap();
        assert_eq!(read, own);
        assert_eq!(read.course_of_this_boot(), Some(-5000));
        assert!(read.says(-4500) && !read.says(-4499));
        for text in ["", "x", "x 1", "another-boot 1\n", "another-boot 1"] {
            fs::write(directory.join(FILE), text).unwrap();
            let read = Record::read(&directory).unwrap();
            assert_eq!(read.course_of_this_boot(), None, "{text}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}

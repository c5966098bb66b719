//! Whether there is room for more of the log of writes.

use rustix::fs::{fallocate, FallocateFlags};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// How much Tarantool allocates at a time for the log.
const PIECE: u64 = 1 << 20;
const NAME: &str = "authkv-room.tmp";

/// Allocates and writes what the next write of the log in this directory may need, and gives it back. Errors: those of the system.
/// Blocks.
pub fn try_room(directory: &Path) -> io::Result<()> {
    let path = directory.join(NAME);
    let mut file = File::create(&path)?;
    // It has no name from here on, so that nothing remains of it whatever happens.
    fs::remove_file(&path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, PIECE) {
        // Not every file system can.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(e) => return Err(e.into()),
    }
    file.write_all(&[0; 4096])?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_remains_of_a_try() {
        let directory = std::env::temp_dir().join(format!("authkv-room-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        try_room(&directory).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(&directory).unwrap();
        let gone = try_room(&directory).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}

use super::*;
use authkv_xlog::sample::{record, row, EOF_MARKER, META};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed at the end of a test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("authkv-prepare-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, content: &[u8]) -> Self {
        fs::write(self.0.join(name), content).unwrap();
        self
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn prepare(&self, forced: bool) -> Result<Vec<String>, String> {
        let directory = Directory::open(&self.0)?;
        let files = directory.files()?;
        let mut report = Report::default();
        directory.remove_unfinished(&files, &mut report)?;
        directory.check_snapshots(&files)?;
        directory.check_newest_snapshot(&files, forced, &mut report)?;
        directory.mend_logs(&files, forced, &mut report)?;
        Ok(report.warnings)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SNAPSHOT: &[u8] = b"SNAP\n0.13\n\n\xd5\x10\xad\xed";
const SNAP: &str = "00000000000000000004.snap";
const OLD: &str = "00000000000000000004.xlog";
const NEW: &str = "00000000000000000010.xlog";

#[test]
fn a_new_directory_is_made_for_the_owner_only() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a/b");
    drop(Directory::open(&path).unwrap());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_directory_that_another_process_uses_is_left_alone() {
    let torn = [META, b"\xd5\xba"].concat();
    let scratch = Scratch::new().with(SNAP, SNAPSHOT).with(NEW, &torn);
    let other = File::open(&scratch.0).unwrap();
    other.lock().unwrap();
    let said = scratch.prepare(false).unwrap_err();
    assert!(said.contains("another process"), "{said}");
    assert_eq!(fs::read(scratch.0.join(NEW)).unwrap(), torn);
}

#[test]
fn only_the_newest_log_is_cut() {
    let row = record(b"row");
    let torn = [META, &row, &row[..9], &[0; 20]].concat();
    // As text, the name of the older one comes last.
    let scratch = Scratch::new()
        .with(SNAP, SNAPSHOT)
        .with(OLD, &torn)
        .with(NEW, &torn);
    let said = scratch.prepare(false).unwrap();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("29 bytes at the end of") && said[0].contains(NEW),
        "{said:?}"
    );
    assert_eq!(
        fs::read(scratch.0.join(NEW)).unwrap(),
        [META, &row].concat()
    );
    assert_eq!(fs::read(scratch.0.join(OLD)).unwrap(), torn);
    let copy = format!("{NEW}.torn-{}", META.len() + row.len());
    let kept = fs::read(scratch.0.join(copy)).unwrap();
    assert_eq!(
        row[..9].strip_suffix(&[0]).map_or(&row[..9], |kept| kept),
        kept
    );
    assert!(scratch.prepare(false).unwrap().is_empty());
}

#[test]
fn a_log_without_a_whole_head_is_moved_away() {
    for torn in [&b""[..], b"XLO", &[0; 4096], &META[..40]] {
        let scratch = Scratch::new().with(SNAP, SNAPSHOT).with(NEW, torn);
        assert_eq!(scratch.prepare(false).unwrap().len(), 1);
        assert_eq!(scratch.names(), [SNAP.to_owned(), format!("{NEW}.torn-0")]);
    }
}

#[test]
fn a_damaged_log_is_refused_unless_the_recovery_is_forced() {
    let row = record(b"row");
    let damaged = [META, &row, b"\0\0\0\0\0", &row].concat();
    let scratch = Scratch::new().with(SNAP, SNAPSHOT).with(OLD, &damaged);
    let said = scratch.prepare(false).unwrap_err();
    for part in [
        OLD,
        "damaged",
        "AUTHKV_FORCE_RECOVERY",
        &(META.len() + row.len()).to_string(),
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(scratch.prepare(true).unwrap().len(), 1);
    assert_eq!(fs::read(scratch.0.join(OLD)).unwrap(), damaged);
}

#[test]
fn logs_without_a_snapshot_are_refused_and_nothing_is_removed() {
    let unfinished = format!("{SNAP}.inprogress");
    let scratch = Scratch::new()
        .with(OLD, META)
        .with(NEW, b"XLO")
        .with(&unfinished, b"");
    for forced in [false, true] {
        let said = scratch.prepare(forced).unwrap_err();
        for part in [OLD, NEW, "no snapshot", "empty database"] {
            assert!(said.contains(part), "{said}");
        }
    }
    assert_eq!(
        scratch.names(),
        [unfinished, OLD.to_owned(), NEW.to_owned()]
    );
}

#[test]
fn what_a_first_start_did_not_finish_is_removed_before_there_is_a_snapshot() {
    let unfinished = "00000000000000000000.snap.inprogress";
    let scratch = Scratch::new()
        .with(unfinished, b"SNAP")
        .with("jwt_private.pem", b"");
    assert_eq!(scratch.prepare(false).unwrap().len(), 1);
    assert_eq!(scratch.names(), ["jwt_private.pem"]);
    let scratch = Scratch::new()
        .with(unfinished, b"SNAP")
        .with(SNAP, SNAPSHOT);
    assert!(scratch.prepare(false).unwrap().is_empty());
    assert_eq!(scratch.names(), [unfinished, SNAP]);
}

/// A log with the rows 5 to `last`.
fn log(last: u8) -> Vec<u8> {
    let rows = (5..=last).map(|number| record(&row(1, number)));
    [META.to_vec(), rows.flatten().collect()].concat()
}

#[test]
fn a_newest_log_without_a_record_is_removed() {
    for end in [&b""[..], &EOF_MARKER] {
        let scratch = Scratch::new()
            .with(SNAP, SNAPSHOT)
            .with(OLD, &log(10))
            .with(NEW, &[META, end].concat());
        assert!(scratch.prepare(false).unwrap().is_empty());
        assert_eq!(scratch.names(), [SNAP, OLD]);
    }
    let scratch = Scratch::new()
        .with(SNAP, SNAPSHOT)
        .with(OLD, &log(10))
        .with(NEW, &[META, &[0; 512]].concat());
    assert_eq!(scratch.prepare(false).unwrap().len(), 1);
    assert_eq!(scratch.names()[..2], [SNAP, OLD]);
    assert!(!scratch.0.join(NEW).exists());
}

#[test]
fn the_newest_log_with_records_is_mended_if_newer_ones_have_none() {
    const NEWER: &str = "00000000000000000011.xlog";
    for newest in [&b""[..], META, &[0; 100]] {
        let torn = [&log(9)[..], b"\xd5\xba"].concat();
        let scratch = Scratch::new()
            .with(SNAP, SNAPSHOT)
            .with(OLD, &torn)
            .with(NEW, META)
            .with(NEWER, newest);
        // The one that was cut, and those that were begun after what is lost.
        assert_eq!(scratch.prepare(false).unwrap().len(), 3);
        assert_eq!(fs::read(scratch.0.join(OLD)).unwrap(), log(9));
        assert!(!scratch.0.join(NEW).exists() && !scratch.0.join(NEWER).exists());
        assert!(scratch.prepare(false).unwrap().is_empty());
    }
}

#[test]
fn a_log_that_does_not_end_where_the_next_begins_is_refused_unless_the_recovery_is_forced() {
    let newer = [META, &record(&row(1, 11))].concat();
    let long = log(10);
    for old in [&log(9)[..], META, b"", &long[..long.len() - 3], &[0; 99]] {
        let scratch = Scratch::new()
            .with(SNAP, SNAPSHOT)
            .with(OLD, old)
            .with(NEW, &newer);
        let said = scratch.prepare(false).unwrap_err();
        for part in [OLD, NEW, "begins at 10", "AUTHKV_FORCE_RECOVERY"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(fs::read(scratch.0.join(OLD)).unwrap(), old);
        let has_head = old.starts_with(META);
        assert_eq!(scratch.prepare(true).unwrap().len(), 2 - has_head as usize);
        assert_eq!(scratch.0.join(OLD).exists(), has_head);
    }
    // What a process that was killed has begun to write, and nobody has rested on.
    let scratch = Scratch::new()
        .with(SNAP, SNAPSHOT)
        .with(OLD, &[&long[..], &[0; 40]].concat())
        .with(NEW, &newer);
    assert_eq!(scratch.prepare(false).unwrap().len(), 1);
    assert_eq!(fs::read(scratch.0.join(OLD)).unwrap(), long);
    // A log that the snapshot does not need.
    let scratch = Scratch::new()
        .with("00000000000000000010.snap", SNAPSHOT)
        .with(OLD, &log(7))
        .with(NEW, &newer);
    assert!(scratch.prepare(false).unwrap().is_empty());
    let scratch = Scratch::new().with(SNAP, SNAPSHOT).with(NEW, &newer);
    let said = scratch.prepare(false).unwrap_err();
    assert!(said.contains("the newest snapshot ends at 4"), "{said}");
}

#[test]
fn a_snapshot_that_is_not_whole_is_refused_and_named() {
    const NEWER: &str = "00000000000000000010.snap";
    for torn in [&b""[..], &[0; 900], &SNAPSHOT[..SNAPSHOT.len() - 1]] {
        let scratch = Scratch::new().with(SNAP, SNAPSHOT).with(NEWER, torn);
        let said = scratch.prepare(false).unwrap_err();
        assert!(
            said.contains(NEWER) && said.contains("Bring back"),
            "{said}"
        );
        let scratch = scratch.with(OLD, &log(10));
        let said = scratch.prepare(false).unwrap_err();
        assert!(
            said.contains("Move it away") && said.contains(SNAP),
            "{said}"
        );
        assert_eq!(scratch.prepare(true).unwrap().len(), 1);
    }
}

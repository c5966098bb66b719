//! What has to hold of the machine and of the files before Tarantool opens the database. Runs before `box.cfg`, when nothing is
//! served yet, so it may block.

#![forbid(unsafe_code)]

mod directory;
mod limits;
mod logs;

pub use limits::memory;

use authkv_config::Config;
use directory::Directory;

/// What the operator should know, and what was mended.
#[derive(Debug, Default)]
pub struct Report {
    pub warnings: Vec<String>,
}

/// Checks the limits of the process.
pub fn check_limits(config: &Config) -> Result<(), String> {
    limits::check_descriptors(&config.http)?;
    limits::check_addresses(config.memtx_memory)
}

/// Makes the directory of the data if it is missing, and cuts off the torn end of the log. The error says why a
/// start is refused, and what to do.
pub fn prepare(config: &Config) -> Result<Report, String> {
    let mut report = Report::default();
    report
        .warnings
        .extend(limits::warn_of_memory(config.memtx_memory));
    let directory = Directory::open(&config.data_dir)?;
    let files = directory.files()?;
    directory.remove_unfinished(&files, &mut report)?;
    directory.check_snapshots(&files)?;
    directory.check_newest_snapshot(&files, config.force_recovery, &mut report)?;
    directory.mend_logs(&files, config.force_recovery, &mut report)?;
    Ok(report)
}

//! What happens before `box.cfg`, called from Lua. Nothing is served yet, so it may block.

use authkv_base::guard::guard;
use authkv_config::Config;
use authkv_prepare::{check_limits, memory, prepare as prepare_files};
use rustix::mm::{mmap_anonymous, munmap, MapFlags, ProtFlags};
use std::collections::{BTreeMap, HashMap};
use std::io;

/// The lines for the log, or nil and why a start is refused.
type Prepared = (Option<Vec<String>>, Option<String>);

/// Prepares a start with these settings, by name and without the prefix.
pub fn prepare(given: HashMap<String, String>) -> Prepared {
    let prepared = guard(|| {
        let config = Config::new(given.into_iter().collect::<BTreeMap<_, _>>());
        Ok(config.and_then(|config| check(&config)))
    });
    match prepared {
        Ok(Ok(lines)) => (Some(lines), None),
        Ok(Err(what)) => (None, Some(what)),
        Err(error) => (None, Some(error.to_string())),
    }
}

fn check(config: &Config) -> Result<Vec<String>, String> {
    check_limits(config)?;
    can_map(config.memtx_memory).map_err(|e| memory(config.memtx_memory, &e.to_string()))?;
    Ok(prepare_files(config)?.warnings)
}

/// Whether the system gives so many bytes of memory. Asks for them as Tarantool does, which ends the process if it gets none.
fn can_map(bytes: u64) -> io::Result<()> {
    let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the system chooses. Nobody has a pointer into it when it is unmapped.
    unsafe {
        let mapped = mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE)?;
        munmap(mapped, bytes)?;
    }
    Ok(())
}

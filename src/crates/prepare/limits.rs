//! The limits of the process: descriptors and memory.

use authkv_base::descriptors::{raise, RESERVED};
use authkv_config::{HttpConfig, ADMIN_CONNECTIONS};
use rustix::process::{getrlimit, Resource};
use std::fs;

/// With fewer HTTP connections than this, a start is refused.
const LEAST: u64 = 64;

/// Raises the limit of descriptors, and refuses a start with too few of them.
pub fn check_descriptors(http: &HttpConfig) -> Result<(), String> {
    let serves = !http.listen.is_empty() || http.rock_listen.is_some();
    let wanted = if serves {
        http.connections_max as u64
    } else {
        0
    };
    let for_admin = match http.admin_listen.is_empty() {
        true => 0,
        false => ADMIN_CONNECTIONS as u64,
    };
    refuse_fewer(raise(), wanted, for_admin)
}

fn refuse_fewer(limit: u64, wanted: u64, for_admin: u64) -> Result<(), String> {
    let least = RESERVED + for_admin + wanted.min(LEAST);
    if limit >= least {
        return Ok(());
    }
    let all = RESERVED + for_admin + wanted;
    let connections = match wanted {
        0 => String::new(),
        _ => format!("; {all} for all connections of AUTHKV_HTTP_CONNECTIONS_MAX"),
    };
    Err(format!(
        "the process may open {limit} descriptors (ulimit -n, also its hard limit), and a start takes {least}{connections}"
    ))
}

/// What Tarantool maps for vinyl, which is there even if nobody uses it (`vinyl_memory`).
const VINYL: u64 = 128 << 20;
/// Addresses for the stacks of threads and fibers, for memory beside the store, and for libraries.
const BESIDE: u64 = 1 << 30;

/// Refuses a start with too few addresses. Tarantool would end, or wait for a thread that it cannot start.
pub fn check_addresses(memtx_memory: u64) -> Result<(), String> {
    let Some(limit) = getrlimit(Resource::As).current else {
        return Ok(());
    };
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').next().and_then(|pages| pages.parse().ok());
    let present = pages.unwrap_or(0) * rustix::param::page_size() as u64;
    refuse_fewer_addresses(limit, present, memtx_memory)
}

/// By how much the size of the process differs from start to start: threads take arenas of 64 MiB.
const SPREAD: u64 = 256 << 20;

fn refuse_fewer_addresses(limit: u64, present: u64, memtx_memory: u64) -> Result<(), String> {
    let least = present
        .saturating_add(memtx_memory)
        .saturating_add(VINYL + BESIDE);
    if limit >= least {
        return Ok(());
    }
    let enough = least.saturating_add(SPREAD);
    Err(format!(
        "the process may use {} KiB of address space (ulimit -v), and AUTHKV_MEMTX_MEMORY is {memtx_memory}: a start takes {} KiB. \
         Raise the limit, or set less",
        limit >> 10,
        enough >> 10
    ))
}

/// The line for a start that was refused because the system does not give `bytes` of memory.
pub fn memory(bytes: u64, why: &str) -> String {
    format!(
        "AUTHKV_MEMTX_MEMORY is {bytes}, and the system does not give so many bytes of memory: {why}; \
         set less, or raise the limit of address space (ulimit -v) or of memory (vm.overcommit_memory)"
    )
}

/// Files with a limit of memory in bytes: that of the container, by the two versions of cgroups (cgroups(7)).
const CONTAINER: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// A line if the store may take more memory than there is. A start succeeds then, because the system gives memory only when it
/// is used.
pub fn warn_of_memory(memtx_memory: u64) -> Option<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let container = CONTAINER
        .iter()
        .filter_map(|path| read(path).trim().parse().ok());
    let least = container.chain(machine(&read("/proc/meminfo"))).min();
    least.filter(|least| *least < memtx_memory).map(|least: u64| {
        format!(
            "AUTHKV_MEMTX_MEMORY is {memtx_memory}, but there are {least} bytes of memory: the system may kill the \
             process before the store is full"
        )
    })
}

/// The bytes of memory of the machine, from /proc/meminfo (proc(5)).
fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_refused_with_the_number_that_it_takes() {
        for (wanted, for_admin, least) in [
            (10_000, 0, 320),
            (64, 0, 320),
            (10, 0, 266),
            (0, 0, 256),
            (64, 64, 384),
        ] {
            assert_eq!(refuse_fewer(least, wanted, for_admin), Ok(()));
            let said = refuse_fewer(least - 1, wanted, for_admin).unwrap_err();
            assert!(said.contains(&format!("takes {least}")), "{said}");
            let all = format!("; {} for all", 256 + for_admin + wanted);
            assert_eq!(said.contains(&all), wanted > 0, "{said}");
        }
    }

    #[test]
    fn too_few_addresses_are_refused_with_the_number_that_it_takes() {
        for (present, memory) in [(0, 0), (1, 1 << 28), (99 << 20, 1 << 40)] {
            let least: u64 = present + memory + (1152 << 20);
            assert_eq!(refuse_fewer_addresses(least, present, memory), Ok(()));
            let said = refuse_fewer_addresses(least - 1, present, memory).unwrap_err();
            let enough = (least + SPREAD) >> 10;
            assert!(said.contains(&format!("takes {enough} KiB")), "{said}");
        }
        assert!(refuse_fewer_addresses(u64::MAX - 1, 1 << 20, u64::MAX).is_err());
    }

    #[test]
    fn more_memory_than_there_is_is_warned_of() {
        assert_eq!(
            machine("MemFree: 1 kB\nMemTotal:       24683652 kB\n"),
            Some(24_683_652 << 10)
        );
        assert_eq!(machine(""), None);
        assert_eq!(warn_of_memory(1 << 20), None);
        assert!(warn_of_memory(1 << 46).is_some());
    }
}

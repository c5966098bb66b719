//! The allocator of Rust code: mimalloc. A request is often freed by another thread than the one that made it, which glibc
//! does under a lock. Any thread.

use libmimalloc_sys::{mi_collect, mi_option_set_default, mi_option_t, mi_process_info};
use mimalloc::MiMalloc;
use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Set the option before the first allocation: the loader calls what `.init_array` has when it has loaded the image.
#[used]
#[link_section = ".init_array"]
static LOADED: extern "C" fn() = reserve_little;

/// Has mimalloc take address space in pieces of 32 MiB, later of more. It never gives address space back, and each loaded
/// image has a mimalloc of its own: pieces of a gibibyte, the usual size, would add up with each new build that is loaded.
extern "C" fn reserve_little() {
    /// `mi_option_arena_reserve`, which the crate does not name. In KiB.
    const ARENA_RESERVE: mi_option_t = 23;
    const KIB: c_long = 32 << 10;
    // SAFETY: any thread may call it at any time. It does not allocate.
    unsafe { mi_option_set_default(ARENA_RESERVE, KIB) }
}

/// How many bytes the allocator has from the kernel, those included that it keeps for later use.
pub fn committed() -> usize {
    let (mut committed, mut other) = (0, [0; 7]);
    let [elapsed, user, system, rss, peak_rss, peak_commit, faults] = &mut other;
    // SAFETY: any thread may call it at any time. It writes a number to each of these places.
    unsafe {
        mi_process_info(
            elapsed,
            user,
            system,
            rss,
            peak_rss,
            &mut committed,
            peak_commit,
            faults,
        );
    }
    committed
}

/// Returns freed memory to the kernel. Otherwise mimalloc would keep it for later use.
pub fn give_back() {
    // SAFETY: any thread may call it at any time, and it touches nothing that is in use.
    unsafe { mi_collect(true) }
}

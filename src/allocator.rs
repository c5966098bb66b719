//! The allocator of Rust code: mimalloc. A request is often freed by another thread than the one that made it, which glibc
//! does under a lock. Any thread.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Returns freed memory to the kernel. Otherwise mimalloc would keep it for later use.
pub fn give_back() {
    // SAFETY: any thread may call it at any time, and it touches nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

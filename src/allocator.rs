//! The memory that Rust code takes: mimalloc's, because requests are freed by another thread than the one that made them,
//! which glibc does under a lock. Any thread.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives memory that has been freed back to the kernel, which would else be kept for what comes next.
pub fn give_back() {
    // SAFETY: any thread may call it at any time, and it touches nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

//! Descriptors that another image of this library has open in this process.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Duplicates the descriptor with this number.
pub fn share(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is only duplicated, which fails if it is not open. Whoever passed it keeps it open until this instance
    // has started.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

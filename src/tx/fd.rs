//! Descriptors that the instance of another image of this library has open, in the same process.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A handle of our own for the descriptor with that number.
pub fn share(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is only duplicated, which fails for a number that is not open; and whoever told it keeps it open
    // until our instance has started.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

//! The one place that catches panics. A panic that reached Tarantool's C frames would abort the database. Pure; runs on any
//! thread.

use crate::error::Error;
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

/// Runs `body` and turns a panic in it into `Error::Internal`. A panic may leave the data that `body` borrows half changed, so
/// `body` must not borrow data that others use after a panic. Locks poison and transactions roll back.
pub fn guard<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Error::Internal))
}

/// Makes a panic write one line to the standard error: its place in the code, but never its message, which could quote data.
pub fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let thread = std::thread::current();
            // `eprintln` panics if it cannot write, and a panic in this hook would abort the process.
            let name = thread.name().unwrap_or("tx");
            let _ = writeln!(
                std::io::stderr(),
                "authkv: panic at {place} in thread {name}"
            );
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error() {
        let index = std::env::args().count() + 10;
        assert_eq!(guard(|| Ok([1, 2][index])), Err(Error::Internal));
        assert_eq!(guard(|| Ok(1)), Ok(1));
        assert_eq!(guard::<()>(|| Err(Error::NoKeys)), Err(Error::NoKeys));
    }
}

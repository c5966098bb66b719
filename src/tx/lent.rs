//! A value that fibers, procedures and threads use as `&'static`, and that is dropped once none of them does.

use super::Tx;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The value. Whoever keeps what [`Lent::get`] gives, beyond the next yield or on another thread, keeps a [`User`] too.
pub struct Lent<T: 'static>(NonNull<T>);

// SAFETY: it is a pointer to a value that any thread may use and that was made to be sent to the heap by one of them.
unsafe impl<T: Send + Sync> Send for Lent<T> {}

/// Counts those who use such a value, which has it as a member.
#[derive(Default)]
pub struct Users(Arc<AtomicUsize>);

/// One who uses it, until this is dropped. Any thread.
pub struct User(Arc<AtomicUsize>);

impl Users {
    /// One more.
    pub fn add(&self) -> User {
        self.0.fetch_add(1, Ordering::Relaxed);
        User(self.0.clone())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        // Acquire: what they did with the value comes before what is done then.
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl<T: Send + Sync + 'static> Lent<T> {
    /// Puts a value where it stays.
    pub fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    pub fn get(&self) -> &'static T {
        // SAFETY: it comes from a box that is leaked. `free` takes it back only once nobody uses it.
        unsafe { self.0.as_ref() }
    }

    /// Drops the value, or leaves it for good if somebody still uses it. Returns whether it was dropped. Does not yield.
    pub fn free(self, _tx: &Tx, users: impl FnOnce(&'static T) -> &'static Users) -> bool {
        if !users(self.get()).is_empty() {
            return false;
        }
        // SAFETY: `new` has made the pointer from a box, and nobody else frees it, for this takes the only owner. Nobody
        // uses the value, because all who do are counted, and nothing else runs on the tx thread meanwhile.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Used {
        users: Users,
        drops: Arc<AtomicUsize>,
    }

    impl Drop for Used {
        fn drop(&mut self) {
            self.drops.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_value_is_dropped_once_and_only_if_nobody_uses_it() {
        // SAFETY: nothing of Tarantool is called.
        let tx = unsafe { Tx::enter() };
        let drops = Arc::<AtomicUsize>::default();
        let lend = || {
            Lent::new(Used {
                users: Users::default(),
                drops: drops.clone(),
            })
        };
        let used = lend();
        let user = used.get().users.add();
        assert!(!used.free(&tx, |value| &value.users));
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        drop(user);
        let unused = lend();
        let user = unused.get().users.add();
        drop(user);
        assert!(unused.get().users.is_empty());
        assert!(unused.free(&tx, |value| &value.users));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }
}

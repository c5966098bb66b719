//! A value that fibers, procedures and threads use as `&'static`. It is dropped once nobody uses it.

use super::Tx;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The owner of the value. To keep the result of [`Lent::get`] beyond the next yield or on another thread, keep a [`User`] too.
pub struct Lent<T: 'static>(NonNull<T>);

// SAFETY: this is a pointer to a value that any thread may use (`Sync`) and own (`Send`).
unsafe impl<T: Send + Sync> Send for Lent<T> {}

/// Counts the users of a value. The value has it as a member.
#[derive(Default)]
pub struct Users(Arc<AtomicUsize>);

/// A user of the value, until it is dropped. Any thread.
pub struct User(Arc<AtomicUsize>);

impl Users {
    /// Adds a user.
    pub fn add(&self) -> User {
        self.0.fetch_add(1, Ordering::Relaxed);
        User(self.0.clone())
    }

    /// Whether there are no users.
    pub fn is_empty(&self) -> bool {
        // Acquire: everything the users did with the value happens before what follows.
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl<T: Send + Sync + 'static> Lent<T> {
    /// Moves a value to a fixed place.
    pub fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    pub fn get(&self) -> &'static T {
        // SAFETY: the pointer comes from a leaked box. `free` takes the box back only once nobody uses the value.
        unsafe { self.0.as_ref() }
    }

    /// Drops the value, or leaks it if somebody still uses it. Returns whether it was dropped. Does not yield.
    pub fn free(self, _tx: &Tx, users: impl FnOnce(&'static T) -> &'static Users) -> bool {
        if !users(self.get()).is_empty() {
            return false;
        }
        // SAFETY: `new` made the pointer from a box. Nobody else frees it, because this function consumes the only owner.
        // Nobody uses the value, because all users are counted, and nothing else runs on the tx thread meanwhile.
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
        // SAFETY: nothing here calls Tarantool.
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

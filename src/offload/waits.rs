//! Fibers that wait for other threads.

use crate::tx::fiber::{self, Cond};
use crate::tx::life::Life;
use crate::tx::{Tx, TxCell};
use authkv_mailbox::doorbell::Doorbell;
use crossbeam_queue::SegQueue;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// All fibers of an instance that wait for its threads.
pub struct Waits {
    pending: TxCell<RefCell<Pending>>,
    /// Ids of finished waits.
    finished: SegQueue<u64>,
    /// Wakes the fiber that calls [`Waits::wake`].
    doorbell: Arc<Doorbell>,
    life: Arc<Life>,
}

#[derive(Default)]
struct Pending {
    last: u64,
    conds: HashMap<u64, Rc<Cond>>,
}

/// A wait of one fiber. Dropping it ends the wait.
pub struct Wait<'a> {
    waits: &'a Arc<Waits>,
    tx: &'a Tx,
    id: u64,
    cond: Rc<Cond>,
}

impl Waits {
    pub fn new(tx: &Tx, doorbell: Arc<Doorbell>, life: Arc<Life>) -> Self {
        Self {
            pending: TxCell::new(tx, RefCell::default()),
            finished: SegQueue::new(),
            doorbell,
            life,
        }
    }

    pub fn begin<'a>(self: &'a Arc<Self>, tx: &'a Tx) -> Wait<'a> {
        let cond = Rc::new(Cond::new());
        let mut pending = self.pending.get(tx).borrow_mut();
        pending.last += 1;
        let id = pending.last;
        pending.conds.insert(id, cond.clone());
        Wait {
            waits: self,
            tx,
            id,
            cond,
        }
    }

    /// Whether [`Waits::wake`] has something to do.
    pub fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// Wakes the fibers whose work is done.
    pub fn wake(&self, tx: &Tx) {
        while let Some(id) = self.finished.pop() {
            if let Some(cond) = self.pending.get(tx).borrow_mut().conds.remove(&id) {
                cond.signal();
            }
        }
    }

    /// Ends all waits, because nobody is left to finish them.
    pub fn abandon(&self, tx: &Tx) {
        for (_, cond) in self.pending.get(tx).borrow_mut().conds.drain() {
            cond.signal();
        }
    }

    pub fn is_empty(&self, tx: &Tx) -> bool {
        self.pending.get(tx).borrow().conds.is_empty()
    }
}

impl Wait<'_> {
    /// A function that finishes the wait, for any thread. The instance lives at least until the function is dropped.
    pub fn finisher(&self) -> impl FnOnce() + Send + use<> {
        let (waits, id) = (self.waits.clone(), self.id);
        let user = waits.life.add_user();
        move || {
            waits.finished.push(id);
            waits.doorbell.ring();
            // Dropped last: from then on the instance may be dropped, and only tx may drop some parts of it.
            drop(waits);
            drop(user);
        }
    }

    /// Yields until the wait is finished or the fiber is cancelled.
    pub fn until_finished(&self, tx: &Tx) {
        let is_pending = || {
            let pending = self.waits.pending.get(tx).borrow();
            pending.conds.contains_key(&self.id)
        };
        while is_pending() && !fiber::is_cancelled(tx) {
            self.cond.wait();
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut pending = self.waits.pending.get(self.tx).borrow_mut();
        pending.conds.remove(&self.id);
    }
}

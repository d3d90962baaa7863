//! The freezer: threads come to rest at the border to ring 3, where nobody can tell that from a sleep. Who is stopped, or sleeps
//! until its child has executed a program, is at rest as well. Only SIGKILL ends it early.

use super::{Cgroup, HIERARCHY};
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::thread::Thread;
use core::sync::atomic::Ordering;

/// Keeps the current thread here as long as its group is to be frozen; it goes on afterwards.
pub fn park(thread: &Thread) {
    let signals = &thread.process().signals;
    enter_frozen(thread);
    signals.resumed.wait_until(|| (!signals.is_freezing() || thread.is_dying()).then_some(()));
    set_frozen(thread, false);
}

/// The current thread sleeps where it is as good as frozen; [`park`] ends that.
pub fn enter_frozen(thread: &Thread) {
    set_frozen(thread, true);
}

fn set_frozen(thread: &Thread, is_frozen: bool) {
    let _hierarchy = HIERARCHY.lock();
    if thread.is_frozen.swap(is_frozen, Ordering::Relaxed) != is_frozen {
        thread.process().cgroup.count_frozen(is_frozen).update_frozen();
    }
}

impl Cgroup {
    /// Whether it was asked to be frozen itself (`cgroup.freeze`).
    pub fn wants_freeze(&self) -> bool {
        self.state.lock().wants_freeze
    }

    /// Whether all in it and below have come to rest.
    pub fn is_frozen(&self) -> bool {
        self.state.lock().is_frozen
    }

    /// Freezes or thaws it and all below.
    ///
    /// # Errors
    /// ENODEV if it was removed.
    pub fn set_freeze(&self, wants_freeze: bool) -> Result<()> {
        let _hierarchy = HIERARCHY.lock();
        let mut state = self.state.lock();
        if state.is_removed {
            return Err(Errno::ENODEV.into());
        }
        state.wants_freeze = wants_freeze;
        drop(state);
        self.apply_freeze();
        Ok(())
    }

    /// Does what this and the parent's state ask for. `HIERARCHY` is held.
    fn apply_freeze(&self) {
        let is_above = self.parent().is_some_and(|parent| parent.state.lock().is_freezing);
        let is_freezing = is_above || self.wants_freeze();
        let was_freezing = core::mem::replace(&mut self.state.lock().is_freezing, is_freezing);
        if was_freezing == is_freezing {
            return;
        }
        let mut from = 0;
        while let Some((pid, process)) = self.next_member(from) {
            order(&process, is_freezing);
            from = pid + 1;
        }
        let mut next = self.next_child(None);
        while let Some((name, child)) = next {
            child.apply_freeze();
            next = self.next_child(Some(&name));
        }
        self.update_frozen();
    }

    /// Looks whether all have come to rest, and tells who watches if that changed, here and above. `HIERARCHY` is held.
    pub(super) fn update_frozen(&self) {
        for group in self.lineage() {
            let mut state = group.state.lock();
            let is_frozen = state.is_freezing
                && state.frozen_threads == state.threads
                && state.frozen_children == state.children.len();
            if state.is_frozen == is_frozen {
                return;
            }
            state.is_frozen = is_frozen;
            drop(state);
            group.tell_events();
            let Some(parent) = group.parent() else { return };
            let mut state = parent.state.lock();
            if is_frozen {
                state.frozen_children += 1;
            } else {
                state.frozen_children -= 1;
            }
        }
    }
}

/// Tells a process to come to rest, or to go on.
pub(super) fn order(process: &Process, is_freezing: bool) {
    process.signals.set_freezing(is_freezing);
    if is_freezing {
        process.for_each_thread(|thread| {
            thread.interrupt();
            true
        });
    } else {
        process.signals.resumed.wake_all();
    }
}

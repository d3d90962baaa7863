//! The cpuset controller: which CPUs the threads of a group may run on. There is one memory node.

use super::{Cgroup, HIERARCHY};
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::sched;
use crate::thread::Thread;
use core::sync::atomic::Ordering;

impl Cgroup {
    /// The CPUs that were chosen (`cpuset.cpus`), a bit each; 0: those of the group above.
    pub fn chosen_cpus(&self) -> u64 {
        self.cpus.load(Ordering::Relaxed)
    }

    /// The CPUs that its threads may run on (`cpuset.cpus.effective`). Where none would be left, those of the group above.
    pub fn effective_cpus(&self) -> u64 {
        let above = self.parent().map_or(online(), |parent| parent.effective_cpus());
        match self.chosen_cpus() & above {
            0 => above,
            both => both,
        }
    }

    /// Chooses CPUs, for it and all below.
    ///
    /// # Errors
    /// ENOSPC if it would have none any more, with processes in it or below.
    pub fn choose_cpus(&self, cpus: u64) -> Result<()> {
        let _hierarchy = HIERARCHY.lock();
        if cpus == 0 && self.chosen_cpus() != 0 && self.is_populated() {
            return Err(Errno::ENOSPC.into());
        }
        self.apply_cpus(cpus);
        Ok(())
    }

    /// `HIERARCHY` is held.
    pub(super) fn apply_cpus(&self, cpus: u64) {
        self.cpus.store(cpus, Ordering::Relaxed);
        self.order_cpus();
    }

    fn order_cpus(&self) {
        let mut from = 0;
        while let Some((pid, process)) = self.next_member(from) {
            follow(&process, self);
            from = pid + 1;
        }
        let mut next = self.next_child(None);
        while let Some((name, child)) = next {
            child.order_cpus();
            next = self.next_child(Some(&name));
        }
    }
}

/// Has all threads of `process` run where its group may.
pub(super) fn follow(process: &Process, cgroup: &Cgroup) {
    process.for_each_thread(|thread| {
        follow_thread(thread, cgroup);
        true
    });
}

pub(super) fn follow_thread(thread: &Thread, cgroup: &Cgroup) {
    let cpus = cgroup.effective_cpus();
    // All of them means any that will be.
    let allowed = if cpus == online() { u64::MAX } else { cpus };
    if let Some(task) = thread.task()
        && let Some(entity) = sched::of(&task)
        && entity.allowed() != allowed
    {
        entity.set_allowed(allowed);
        task.kick();
    }
}

fn online() -> u64 {
    u64::MAX >> (64 - ostd::cpu::count().min(64))
}

//! The cpu controller: how the CPUs are divided between groups, and how much of them one may use. [`Share`] does it.

use super::{Cgroup, HIERARCHY, cpuset};
use crate::process::Process;
use crate::sched::{self, share};
use crate::thread::Thread;
use alloc::sync::Arc;

impl Cgroup {
    /// The controller was turned on (with the default weight) or off (every task counts for itself, without a limit).
    pub(super) fn set_cpu_controlled(&self, is_on: bool) {
        let Some(share) = &self.share else { return };
        share.set_weight(if is_on { share::DEFAULT_WEIGHT } else { 0 });
        share.set_limit_ns(share::UNLIMITED, share::DEFAULT_PERIOD_NS);
    }
}

/// Has all threads of `process` draw on its group's share.
pub(super) fn follow(process: &Process, cgroup: &Arc<Cgroup>) {
    process.for_each_thread(|thread| {
        follow_thread(thread, cgroup);
        true
    });
}

fn follow_thread(thread: &Thread, cgroup: &Cgroup) {
    if let Some(task) = thread.task()
        && let Some(entity) = sched::of(&task)
    {
        entity.set_share(cgroup.share.clone());
    }
}

/// Has a new thread draw on its process's share: it begins with its maker's. The same for the CPUs that it may run on.
pub fn follow_new(thread: &Thread) {
    let _hierarchy = HIERARCHY.lock();
    let cgroup = thread.process().cgroup.get();
    follow_thread(thread, &cgroup);
    cpuset::follow_thread(thread, &cgroup);
}

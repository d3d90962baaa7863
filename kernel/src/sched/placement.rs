//! Where a task goes when it becomes runnable.

use super::{Queues, bit, entity};
use core::sync::atomic::Ordering;
use ostd::cpu::CpuId;
use ostd::task::{Enqueue, Task};

impl Queues {
    /// The CPU for `task`: its last one if that is idle or it has just run there, else an idle one, else the least busy.
    pub(super) fn place(&self, task: &Task, why: Enqueue) -> CpuId {
        let last = task.cpu();
        let count = ostd::cpu::count();
        if count == 1 {
            return last;
        }
        let online = u64::MAX >> (64 - count.min(64));
        let allowed = match entity::of(task).map_or(online, |entity| entity.affinity() & online) {
            0 => online,
            allowed => allowed,
        };
        let may_stay = allowed & bit(last) != 0;
        let idle = self.idle.load(Ordering::Relaxed) & allowed;
        if may_stay && (matches!(why, Enqueue::Preempted | Enqueue::Yielded) || idle & bit(last) != 0) {
            return last;
        }
        if idle != 0 {
            return CpuId::new(idle.trailing_zeros() as usize).unwrap_or(last);
        }
        if may_stay && why == Enqueue::Wake {
            return last;
        }
        cpus(allowed).min_by_key(|&cpu| self.queues.on(cpu).len()).unwrap_or(last)
    }
}

/// The CPUs of a mask.
pub(super) fn cpus(mask: u64) -> impl Iterator<Item = CpuId> {
    (0..64).filter(move |index| mask & 1 << index != 0).filter_map(CpuId::new)
}

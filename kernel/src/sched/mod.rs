//! Who runs next, where and for how long: the policy behind [`ostd::task::Scheduler`] (sched(7)).
//!
//! Each CPU has a queue (`coffer_run_queue`). A task that wakes goes to its last CPU, or to an idle one; idle CPUs take work from others.
//! [`Entity`] is what the policy keeps for a task.

mod balance;
mod entity;
mod load;
mod placement;
mod queue;
pub mod share;
mod usage;

pub use entity::{Entity, Policy, of, start_values};
pub use load::{load_average, runnable};
pub use queue::ROUND_ROBIN_NS;
pub use usage::{busy_ns, switches};

use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::cpu::{CpuId, PerCpu};
use ostd::sync::Once;
use ostd::task::{Enqueue, Scheduler, Task};
use queue::CpuQueue;

/// The policy: one queue a CPU.
#[derive(Debug)]
struct Queues {
    queues: PerCpu<CpuQueue>,
    /// CPUs with nothing to run.
    idle: AtomicU64,
}

static QUEUES: Once<Queues> = Once::new();

/// Puts the policy in force. Part of boot; before it only the first task runs.
pub fn init() {
    let queues =
        QUEUES.call_once(|| Queues { queues: PerCpu::new(|_| CpuQueue::default()), idle: AtomicU64::new(0) });
    ostd::task::set_scheduler(queues);
    load::start();
}

impl Scheduler for Queues {
    fn enqueue(&self, task: Arc<Task>, why: Enqueue) -> (CpuId, bool) {
        let cpu = self.place(&task, why);
        self.idle.fetch_and(!bit(cpu), Ordering::Relaxed);
        let from = self.queues.on(task.cpu()).floor();
        let preempts = self.queues.on(cpu).enqueue(task, why, from);
        (cpu, preempts)
    }

    fn pick_next(&self, cpu: CpuId, current: Option<&Task>, has_yielded: bool) -> Option<Arc<Task>> {
        let queue = self.queues.on(cpu);
        let current_may_stay = current.is_none_or(|task| may_run(task, cpu));
        let next = queue.pick(current, has_yielded || !current_may_stay);
        queue.count_switch(next.is_some());
        if next.is_some() || current.is_some() {
            return next;
        }
        let stolen = self.steal(cpu);
        match &stolen {
            Some(task) => queue.note_picked(task),
            None => drop(self.idle.fetch_or(bit(cpu), Ordering::Relaxed)),
        }
        stolen
    }

    fn account(&self, cpu: CpuId, current: &Task, ran_ns: u64) -> bool {
        let queue = self.queues.on(cpu);
        queue.charge(ran_ns);
        if of(current).is_some_and(|entity| entity.charge_group(ran_ns)) {
            Thread::note_task_throttled(current);
        }
        let reconsider = queue.account(current, ran_ns);
        reconsider || !may_run(current, cpu) && ostd::cpu::count() > 1
    }

    fn queued(&self, cpu: CpuId) -> usize {
        self.queues.on(cpu).len()
    }

    fn must_leave(&self, cpu: CpuId, current: &Task) -> bool {
        !may_run(current, cpu) && ostd::cpu::count() > 1
    }
}

/// Whether the task's affinity allows `cpu`.
fn may_run(task: &Task, cpu: CpuId) -> bool {
    of(task).is_none_or(|entity| entity.affinity() & bit(cpu) != 0)
}

fn bit(cpu: CpuId) -> u64 {
    1 << cpu.as_usize()
}

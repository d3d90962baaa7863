//! The seam between mechanism (here) and policy (the kernel's): who runs next.
//!
//! All calls come with interrupts off. Whatever a policy answers, a task never runs on two CPUs at once: ostd waits until its stack is free.

use super::Task;
use crate::cpu::CpuId;
use alloc::sync::Arc;

/// Why a task becomes runnable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueue {
    /// It is new.
    New,
    /// It was asleep.
    Wake,
    /// It ran and was set aside for another, still runnable.
    Preempted,
    /// It ran and gave way by itself.
    Yielded,
}

/// A scheduling policy with a queue for each CPU.
pub trait Scheduler: Send + Sync {
    /// Puts a runnable task into a queue. Returns which CPU's, and whether that CPU ought to reconsider what it runs.
    fn enqueue(&self, task: Arc<Task>, why: Enqueue) -> (CpuId, bool);

    /// Takes the next task out of `cpu`'s queue; `None` idles the CPU.
    fn pick_next(&self, cpu: CpuId) -> Option<Arc<Task>>;

    /// `current` has run on `cpu` for `ran_ns` since it was picked or since the last call; whether to reconsider. Called by the
    /// scheduling tick while there is something to decide, and when `current` stops running.
    fn account(&self, cpu: CpuId, current: &Task, ran_ns: u64) -> bool;

    /// How many tasks wait in `cpu`'s queue.
    fn queued(&self, cpu: CpuId) -> usize;
}

/// Names the policy; until then a plain round-robin on the boot CPU serves. Only the first call counts.
pub fn set_scheduler(scheduler: &'static dyn Scheduler) {
    let _ = scheduler;
    todo!()
}

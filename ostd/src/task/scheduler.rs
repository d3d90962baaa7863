//! The seam between mechanism (here) and policy (the kernel's): who runs next.
//!
//! All calls come with interrupts and preemption off. Whatever a policy answers, a task never runs on two CPUs at once: ostd takes each
//! task out of the policy's hands and refuses one that is not queued.

use super::{Task, disable_preemption};
use crate::cpu::CpuId;
use crate::sync::{Once, SpinLock};
use alloc::collections::VecDeque;
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
    /// Puts a runnable task, which is in no queue and runs nowhere, into a queue. Returns which CPU's, and whether that CPU
    /// ought to reconsider what it runs.
    fn enqueue(&self, task: Arc<Task>, why: Enqueue) -> (CpuId, bool);

    /// Takes the next task out of `cpu`'s queue. `current` is what runs there and could go on; `None` if it sleeps, exits or is the
    /// idle task. An answer of `None` lets `current` go on, or idles the CPU. A `current` that is set aside is enqueued
    /// ([`Enqueue::Preempted`] or [`Enqueue::Yielded`]) as soon as its stack is free, after this call. When `has_yielded`, `current`
    /// wants others to go first.
    fn pick_next(&self, cpu: CpuId, current: Option<&Task>, has_yielded: bool) -> Option<Arc<Task>>;

    /// `current` has run on `cpu` for `ran_ns` since it was picked or since the last call; whether to reconsider. Called by the
    /// scheduling tick (every [`super::TICK_NS`] while a CPU is busy) and when `current` stops running.
    fn account(&self, cpu: CpuId, current: &Task, ran_ns: u64) -> bool;

    /// How many tasks wait in `cpu`'s queue.
    fn queued(&self, cpu: CpuId) -> usize;

    /// Whether `current` may not go on on `cpu` even if nobody else wants it (sched_setaffinity(2)): then the CPU idles, and `current` is
    /// enqueued for another one.
    fn must_leave(&self, cpu: CpuId, current: &Task) -> bool {
        let _ = (cpu, current);
        false
    }
}

static SCHEDULER: Once<&'static dyn Scheduler> = Once::new();

/// Names the policy; until then a plain round-robin on the boot CPU serves. Only the first call counts, and it must come
/// before a second task is made.
pub fn set_scheduler(scheduler: &'static dyn Scheduler) {
    SCHEDULER.call_once(|| scheduler);
}

/// Asks the policy in force. It runs in the middle of a switch, in the name of a task that knows nothing of it: with preemption off, so
/// that it cannot sleep, switch or change the task's address space.
pub(super) fn ask<R>(question: impl FnOnce(&dyn Scheduler) -> R) -> R {
    let _here = disable_preemption();
    match SCHEDULER.get() {
        Some(scheduler) => question(*scheduler),
        None => question(&ROUND_ROBIN),
    }
}

/// What serves until the kernel has named its policy.
struct RoundRobin(SpinLock<VecDeque<Arc<Task>>>);

static ROUND_ROBIN: RoundRobin = RoundRobin(SpinLock::new(VecDeque::new()));

impl Scheduler for RoundRobin {
    fn enqueue(&self, task: Arc<Task>, _why: Enqueue) -> (CpuId, bool) {
        self.0.lock_irq().push_back(task);
        (CpuId(0), true)
    }

    fn pick_next(&self, cpu: CpuId, _current: Option<&Task>, _has_yielded: bool) -> Option<Arc<Task>> {
        if cpu == CpuId(0) { self.0.lock_irq().pop_front() } else { None }
    }

    fn account(&self, _cpu: CpuId, _current: &Task, _ran_ns: u64) -> bool {
        !self.0.lock_irq().is_empty()
    }

    fn queued(&self, cpu: CpuId) -> usize {
        if cpu == CpuId(0) { self.0.lock_irq().len() } else { 0 }
    }
}

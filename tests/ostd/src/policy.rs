//! A scheduling policy: a queue for each CPU, first come, first served. It can be told to lie.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ostd::cpu::{self, CpuId, PerCpu};
use ostd::sync::{Lazy, SpinLock};
use ostd::task::{Enqueue, Scheduler, Task, set_scheduler};

/// Where a task must run: its policy data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The CPU with this number (modulo how many there are).
    On(usize),
    /// Wherever.
    Any,
}

struct Queues {
    waiting: PerCpu<SpinLock<VecDeque<Arc<Task>>>>,
    next: AtomicUsize,
    /// While it lies: handles that it should not have kept, and names as next.
    kept: SpinLock<Vec<Arc<Task>>>,
    lies: AtomicUsize,
}

static QUEUES: Lazy<Queues> = Lazy::new(|| Queues {
    waiting: PerCpu::new(|_| SpinLock::new(VecDeque::new())),
    next: AtomicUsize::new(0),
    kept: SpinLock::new(Vec::new()),
    lies: AtomicUsize::new(0),
});
static IS_LYING: AtomicBool = AtomicBool::new(false);

pub(crate) fn install() {
    set_scheduler(&*QUEUES);
}

/// From now on, or no longer, every pick names some task that it knows, whatever that is doing. Returns how often it lied.
pub(crate) fn lie(wanted: bool) -> usize {
    IS_LYING.store(wanted, Ordering::SeqCst);
    if !wanted {
        let kept = core::mem::take(&mut *QUEUES.kept.lock_irq());
        drop(kept);
    }
    QUEUES.lies.swap(0, Ordering::Relaxed)
}

impl Queues {
    fn place(&self, task: &Task, why: Enqueue) -> CpuId {
        let here = task.cpu();
        let any = || CpuId::new(self.next.fetch_add(1, Ordering::Relaxed) % cpu::count());
        match (task.policy().downcast_ref::<Place>(), why) {
            (Some(Place::On(wanted)), _) => CpuId::new(wanted % cpu::count()).unwrap_or(here),
            // Tasks without a place move about with every wake.
            (_, Enqueue::New | Enqueue::Wake) => any().unwrap_or(here),
            _ => here,
        }
    }
}

impl Scheduler for Queues {
    fn enqueue(&self, task: Arc<Task>, why: Enqueue) -> (CpuId, bool) {
        let cpu = self.place(&task, why);
        if IS_LYING.load(Ordering::Relaxed) {
            let mut kept = self.kept.lock_irq();
            if kept.len() < 64 && !kept.iter().any(|known| Arc::ptr_eq(known, &task)) {
                kept.push(task.clone());
            }
        }
        self.waiting.on(cpu).lock_irq().push_back(task);
        (cpu, true)
    }

    fn pick_next(&self, cpu: CpuId, current: Option<&Task>, has_yielded: bool) -> Option<Arc<Task>> {
        if IS_LYING.load(Ordering::Relaxed) {
            let turn = self.lies.fetch_add(1, Ordering::Relaxed);
            let kept = self.kept.lock_irq();
            if !turn.is_multiple_of(3) && !kept.is_empty() {
                return kept.get(turn % kept.len()).cloned();
            }
        }
        let _ = (current, has_yielded);
        self.waiting.on(cpu).lock_irq().pop_front()
    }

    fn account(&self, cpu: CpuId, _current: &Task, _ran_ns: u64) -> bool {
        self.queued(cpu) > 0
    }

    fn queued(&self, cpu: CpuId) -> usize {
        self.waiting.on(cpu).lock_irq().len()
    }
}

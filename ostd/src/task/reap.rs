//! Dead tasks: what the kernel attached to them is dropped by a task of its own, because that may sleep and the CPU that buries them
//! must not.

use crate::sync::{SpinLock, WaitQueue};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How many may lie there before the reaper is woken; an idle CPU wakes it sooner.
const BATCH: usize = 16;

type Remains = Arc<dyn Any + Send + Sync>;

static DEAD: SpinLock<Vec<Remains>> = SpinLock::new(Vec::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static QUEUE: WaitQueue = WaitQueue::new();

/// Takes over a dead task, with interrupts off.
pub(super) fn bury(task: Remains) {
    if bury_quietly(task) >= BATCH {
        QUEUE.wake_one();
    }
}

/// As [`bury`], without waking anybody: for where locks may be held. Returns how many lie there.
pub(super) fn bury_quietly(remains: Remains) -> usize {
    let mut dead = DEAD.lock_irq();
    dead.push(remains);
    COUNT.store(dead.len(), Ordering::Relaxed);
    dead.len()
}

/// Called by idle CPUs: wakes the reaper if there is something to do.
pub(super) fn hurry() {
    if COUNT.load(Ordering::Relaxed) > 0 {
        QUEUE.wake_one();
    }
}

/// The reaper's main function.
pub(super) fn run() {
    loop {
        let dead = QUEUE.wait_until(|| {
            let mut dead = DEAD.lock_irq();
            COUNT.store(0, Ordering::Relaxed);
            (!dead.is_empty()).then(|| core::mem::take(&mut *dead))
        });
        drop(dead);
        #[cfg(target_os = "none")]
        crate::mm::kspace::trim_stacks();
    }
}

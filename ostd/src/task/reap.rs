//! Dead tasks: what the kernel attached to them is dropped by a task of its own, because that may sleep and the CPU that buries them
//! must not.

use super::Task;
use crate::sync::{SpinLock, WaitQueue};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How many may lie there before the reaper is woken; an idle CPU wakes it sooner.
const BATCH: usize = 16;

static DEAD: SpinLock<Vec<Arc<Task>>> = SpinLock::new(Vec::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static QUEUE: WaitQueue = WaitQueue::new();

/// Takes over a dead task, with interrupts off.
pub(super) fn bury(task: Arc<Task>) {
    let mut dead = DEAD.lock_irq();
    dead.push(task);
    let count = dead.len();
    COUNT.store(count, Ordering::Relaxed);
    drop(dead);
    if count == BATCH {
        QUEUE.wake_one();
    }
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
    }
}

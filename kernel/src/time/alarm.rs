//! From the timer interrupt to task context: an [`Alarm`] that fires puts its target into a queue, a task of the kernel's takes it out and
//! lets it act. Sending a signal takes locks that an interrupt must not wait for.

use crate::error::{Errno, Result};
use crate::sched;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ostd::sync::{SpinLock, WaitQueue};
use ostd::task::Task;
use ostd::timer::Timer;

/// What acts when its alarm fires.
pub trait Expire: Send + Sync {
    /// Acts, in task context. Spurious calls are possible: look at the clock.
    fn expire(&self);
}

/// A one-shot timer in monotonic time.
#[derive(Debug)]
pub struct Alarm(Arc<Timer>);

/// Who is told, and whether that is in the queue: once at most, so the queue is as long as alarms are many.
struct Target {
    target: Weak<dyn Expire>,
    is_queued: AtomicBool,
}

static DUE: SpinLock<VecDeque<Arc<Target>>> = SpinLock::new(VecDeque::new());
/// How many alarms there are.
static ALARMS: AtomicUsize = AtomicUsize::new(0);
static SERVER: WaitQueue = WaitQueue::new();

/// Before all fair tasks, so that a busy machine does not delay signals.
const PRIORITY: u8 = 50;

/// Starts the task that serves alarms. Part of boot.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<()> {
    let policy = sched::start_values(false);
    if let Some(entity) = policy.downcast_ref::<sched::Entity>() {
        entity.set_policy(sched::Policy::Fifo, PRIORITY);
    }
    Task::new(serve, Arc::new(()), policy)?.start();
    Ok(())
}

fn serve() {
    loop {
        let due = SERVER.wait_until(|| DUE.lock_irq().pop_front());
        due.is_queued.store(false, Ordering::Release);
        if let Some(target) = due.target.upgrade() {
            target.expire();
        }
    }
}

impl Alarm {
    /// Makes room for one more alarm to be due, for which the interrupt cannot ask. Before [`Self::new`].
    ///
    /// # Errors
    /// ENOMEM.
    pub fn reserve() -> Result<()> {
        /// Others may be between the two calls, and alarms that are gone may still be in the queue.
        const SLACK: usize = 64;
        let wanted = ALARMS.load(Ordering::Relaxed) + SLACK;
        let mut due = DUE.lock_irq();
        let more = wanted.saturating_sub(due.len());
        due.try_reserve(more).map_err(|_| Errno::ENOMEM.into())
    }

    /// An alarm for `target`, not armed.
    pub fn new(target: Weak<dyn Expire>) -> Self {
        ALARMS.fetch_add(1, Ordering::Relaxed);
        let target = Arc::new(Target { target, is_queued: AtomicBool::new(false) });
        Self(Timer::new(move || {
            if !target.is_queued.swap(true, Ordering::AcqRel) {
                DUE.lock_irq().push_back(target.clone());
                SERVER.wake_one();
            }
        }))
    }

    /// Arms it for a monotonic time; replaces an earlier one.
    pub fn arm(&self, deadline_ns: u64) {
        self.0.arm(deadline_ns);
    }

    /// Disarms it; what is in the queue already still comes.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.cancel();
        ALARMS.fetch_sub(1, Ordering::Relaxed);
    }
}

//! From the timer interrupt to task context: an [`Alarm`] that fires puts its target into a queue, a task of the kernel's takes it out and
//! lets it act. Sending a signal takes locks that an interrupt must not wait for.

use crate::error::Result;
use crate::sched;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
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

static DUE: SpinLock<VecDeque<Weak<dyn Expire>>> = SpinLock::new(VecDeque::new());
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
        let target = SERVER.wait_until(|| DUE.lock_irq().pop_front());
        if let Some(target) = target.upgrade() {
            target.expire();
        }
    }
}

impl Alarm {
    /// An alarm for `target`, not armed.
    pub fn new(target: Weak<dyn Expire>) -> Self {
        Self(Timer::new(move || {
            DUE.lock_irq().push_back(target.clone());
            SERVER.wake_one();
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
    }
}

//! Tasks: stacks with a context, preemptible, switched between by a policy that the kernel provides.

/// Length of the scheduling tick in nanoseconds.
pub const TICK_NS: u64 = 4_000_000;

mod preempt;
mod scheduler;

pub use preempt::{PreemptGuard, disable_preemption};
pub use scheduler::{Enqueue, Scheduler, set_scheduler};

use crate::Result;
use crate::cpu::CpuId;
use alloc::sync::Arc;
use core::any::Any;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::AtomicBool;

/// Something that runs: a kernel stack, a context, and what the kernel attached to it.
pub struct Task {
    data: Arc<dyn Any + Send + Sync>,
}

impl core::fmt::Debug for Task {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Task")
    }
}

/// The current task: valid while it runs, hence not `Send`.
#[derive(Debug)]
pub struct CurrentTask {
    _task: *const Task,
    _not_send: PhantomData<*const ()>,
}

impl Deref for CurrentTask {
    type Target = Task;

    fn deref(&self) -> &Task {
        todo!()
    }
}

impl CurrentTask {
    /// An owning handle.
    pub fn cloned(&self) -> Arc<Task> {
        todo!()
    }
}

impl Task {
    /// Makes a task that will run `main` and end when it returns. It does not run before [`Task::start`].
    /// `data` is the kernel's own, found again by [`Task::data`]; `policy` is the scheduler's own ([`Task::policy`]).
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] for the stack.
    pub fn new(
        main: impl FnOnce() + Send + 'static,
        data: Arc<dyn Any + Send + Sync>,
        policy: Arc<dyn Any + Send + Sync>,
    ) -> Result<Arc<Self>> {
        let _ = (main, data, policy);
        todo!()
    }

    /// Hands a new task to the scheduler. A second call does nothing.
    pub fn start(self: &Arc<Self>) {
        todo!()
    }

    /// The task that runs here; `None` before the first one.
    pub fn current() -> Option<CurrentTask> {
        todo!()
    }

    /// What the kernel attached.
    pub fn data(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.data
    }

    /// What the scheduler attached.
    pub fn policy(&self) -> &Arc<dyn Any + Send + Sync> {
        todo!()
    }

    /// The CPU that it runs on or last ran on.
    pub fn cpu(&self) -> CpuId {
        todo!()
    }

    /// CPU time used so far, (in ring 3, in the kernel), in nanoseconds.
    pub fn cpu_time_ns(&self) -> (u64, u64) {
        todo!()
    }

    /// If it is in ring 3 on some CPU, brings it back into the kernel soon ([`crate::user::ReturnReason::Interrupt`]): so that it sees a signal.
    pub fn kick(&self) {
        todo!()
    }
}

/// Lets others run.
pub fn yield_now() {
    todo!()
}

/// Sleeps unless `flag` is already true; [`unpark`] ends it. May return early: callers loop.
pub(crate) fn park_unless(flag: &AtomicBool) {
    park_unless_any(&[flag]);
}

/// As [`park_unless`] for several flags.
pub(crate) fn park_unless_any(flags: &[&AtomicBool]) {
    let _ = flags;
    todo!()
}

/// Ends a park, or prevents the next one from sleeping.
pub(crate) fn unpark(task: &Arc<Task>) {
    let _ = task;
    todo!()
}

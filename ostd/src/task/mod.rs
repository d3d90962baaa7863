//! Tasks: stacks with a context, preemptible, switched between by a policy that the kernel provides.
//!
//! `state` says who may run a task, and moves by compare-and-swap only where two could want it. A task is in the policy's
//! hands exactly while it is [`QUEUED`](state::QUEUED) and its stack is free, so a policy can never make one run twice.

#[cfg(target_os = "none")]
mod idle;
mod park;
mod preempt;
#[cfg(target_os = "none")]
mod reap;
mod scheduler;
#[cfg(target_os = "none")]
mod switch;

#[cfg(target_os = "none")]
pub(crate) use idle::{enter_idle, start_first};
#[cfg(target_os = "none")]
pub(crate) use preempt::{on_interrupt_exit, on_reschedule_ipi, on_tick, recycle_addresses};
#[cfg(target_os = "none")]
pub(crate) use switch::set_current_vm_space;

pub(crate) use park::{park_unless, park_unless_any, unpark};
pub use preempt::{PreemptGuard, disable_preemption};
pub use scheduler::{Enqueue, Scheduler, set_scheduler};

#[cfg(target_os = "none")]
use crate::arch::user::ExtendedState;
use crate::cpu::CpuId;
#[cfg(target_os = "none")]
use crate::mm::VmSpace;
#[cfg(target_os = "none")]
use crate::mm::kspace::KernelStack;
use crate::{Result, timer};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Length of the scheduling tick in nanoseconds.
pub const TICK_NS: u64 = 4_000_000;

/// Who may run a task.
mod state {
    /// Made, not started.
    pub(super) const NEW: u8 = 0;
    /// Runnable: in the policy's hands, or on the way there.
    pub(super) const QUEUED: u8 = 1;
    /// On a CPU.
    pub(super) const RUNNING: u8 = 2;
    /// Asleep, or about to be; [`super::unpark`] brings it back.
    pub(super) const SLEEPING: u8 = 3;
    /// Woken, by somebody who waits until its stack has been left: only then is it queued.
    pub(super) const WOKEN: u8 = 4;
    /// Will never run again.
    pub(super) const DEAD: u8 = 5;
}

type Main = Box<dyn FnOnce() + Send>;

/// Something that runs: a kernel stack, a context, and what the kernel attached to it.
pub struct Task {
    data: Arc<dyn Any + Send + Sync>,
    policy: Arc<dyn Any + Send + Sync>,
    state: AtomicU8,
    /// Whether a CPU stands on the stack. Cleared, with release, once it has left.
    is_on_cpu: AtomicBool,
    /// Whether it gave way by itself when it last stopped.
    has_yielded: AtomicBool,
    cpu: AtomicU32,
    /// When it was last picked or accounted ([`timer::now_ns`]).
    accounted_at_ns: AtomicU64,
    run_ns: AtomicU64,
    user_ticks: AtomicU64,
    kernel_ticks: AtomicU64,
    word: AtomicUsize,
    context: Context,
}

/// What belongs to whoever runs the task: the CPU that it is current on, or the one that switches from or to it.
struct Context {
    stack_pointer: UnsafeCell<usize>,
    main: UnsafeCell<Option<Main>>,
    #[cfg(target_os = "none")]
    stack: UnsafeCell<Option<KernelStack>>,
    #[cfg(target_os = "none")]
    vm_space: UnsafeCell<Option<Arc<VmSpace>>>,
    #[cfg(target_os = "none")]
    extended: UnsafeCell<ExtendedState>,
}

// SAFETY: see `Context`: `state` and `is_on_cpu` let one CPU at a time be that owner.
unsafe impl Sync for Context {}
// SAFETY: everything in it is `Send`.
unsafe impl Send for Context {}

impl core::fmt::Debug for Task {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Task").field("state", &self.state).field("cpu", &self.cpu).finish_non_exhaustive()
    }
}

impl Task {
    /// Makes a task that will run `main` and end when it returns. It does not run before [`Task::start`].
    /// `data` is the kernel's own, found again by [`Task::data`]; `policy` is the scheduler's own ([`Task::policy`]).
    /// The new task starts with a copy of the current one's extended state (FPU and vector registers), as fork(2) wants it.
    ///
    /// # Errors
    /// [`crate::Error::NoMemory`] for the stack.
    pub fn new(
        main: impl FnOnce() + Send + 'static,
        data: Arc<dyn Any + Send + Sync>,
        policy: Arc<dyn Any + Send + Sync>,
    ) -> Result<Arc<Self>> {
        #[cfg(target_os = "none")]
        let stack = KernelStack::new()?;
        Ok(Arc::new(Self {
            data,
            policy,
            state: AtomicU8::new(state::NEW),
            is_on_cpu: AtomicBool::new(false),
            has_yielded: AtomicBool::new(false),
            cpu: AtomicU32::new(0),
            accounted_at_ns: AtomicU64::new(0),
            run_ns: AtomicU64::new(0),
            user_ticks: AtomicU64::new(0),
            kernel_ticks: AtomicU64::new(0),
            word: AtomicUsize::new(0),
            context: Context {
                #[cfg(target_os = "none")]
                stack_pointer: UnsafeCell::new(switch::prepare_stack(&stack)),
                #[cfg(not(target_os = "none"))]
                stack_pointer: UnsafeCell::new(0),
                main: UnsafeCell::new(Some(Box::new(main))),
                #[cfg(target_os = "none")]
                stack: UnsafeCell::new(Some(stack)),
                #[cfg(target_os = "none")]
                vm_space: UnsafeCell::new(None),
                #[cfg(target_os = "none")]
                extended: UnsafeCell::new(ExtendedState::inherit()),
            },
        }))
    }

    /// Hands a new task to the scheduler. A second call does nothing.
    pub fn start(self: &Arc<Self>) {
        if self.state.compare_exchange(state::NEW, state::QUEUED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            park::enqueue(self.clone(), Enqueue::New);
        }
    }

    /// The task that runs here; `None` before the first one.
    pub fn current() -> Option<CurrentTask> {
        #[cfg(target_os = "none")]
        let task = crate::cpu::local::current() as *const Task;
        #[cfg(not(target_os = "none"))]
        let task = core::ptr::null::<Task>();
        (!task.is_null()).then_some(CurrentTask { task, _not_send: PhantomData })
    }

    /// What the kernel attached.
    pub fn data(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.data
    }

    /// What the scheduler attached.
    pub fn policy(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.policy
    }

    /// A word for the kernel to note in what the task is in the middle of; zero at first.
    pub fn word(&self) -> &AtomicUsize {
        &self.word
    }

    /// The CPU that it runs on or last ran on.
    pub fn cpu(&self) -> CpuId {
        CpuId(self.cpu.load(Ordering::Relaxed))
    }

    /// Whether it is on a CPU right now.
    pub fn is_running(&self) -> bool {
        self.is_on_cpu.load(Ordering::Relaxed)
    }

    /// Whether it waits for something other than a CPU.
    pub fn is_asleep(&self) -> bool {
        self.state.load(Ordering::Relaxed) == state::SLEEPING
    }

    /// CPU time used so far, (in ring 3, in the kernel), in nanoseconds. The sum is exact, the division sampled by the tick.
    pub fn cpu_time_ns(&self) -> (u64, u64) {
        let mut total = self.run_ns.load(Ordering::Relaxed);
        if self.is_running() {
            total += timer::now_ns().saturating_sub(self.accounted_at_ns.load(Ordering::Relaxed));
        }
        let user = self.user_ticks.load(Ordering::Relaxed);
        let kernel = self.kernel_ticks.load(Ordering::Relaxed);
        // Without a tick yet, call it ring 3: most of what is that short is.
        let user_ns = if kernel == 0 {
            total
        } else {
            (u128::from(total) * u128::from(user) / u128::from(user + kernel)) as u64
        };
        (user_ns, total - user_ns)
    }

    /// Its extended state; only for the current task, with interrupts off.
    #[cfg(target_os = "none")]
    pub(crate) fn extended_state(&self) -> *mut ExtendedState {
        self.context.extended.get()
    }

    /// If it is in ring 3 on some CPU, brings it back into the kernel soon ([`crate::user::ReturnReason::Interrupt`]): so
    /// that it sees a signal.
    pub fn kick(&self) {
        #[cfg(target_os = "none")]
        preempt::kick(self);
    }
}

#[cfg(target_os = "none")]
impl Drop for Task {
    fn drop(&mut self) {
        if !matches!(*self.state.get_mut(), state::NEW | state::DEAD) {
            // A policy lost it half-way. What lives on its stack was never dropped, and others may point there
            // (`Pin` lets them), so the stack is never used again.
            core::mem::forget(self.context.stack.get_mut().take());
        }
        if !preempt::can_sleep() {
            // The last handle went where nothing may sleep: a timer's callback, under a spin lock. What the kernel attached
            // may want to.
            for attached in [&mut self.data, &mut self.policy] {
                let nothing: Arc<()> = Arc::new(());
                reap::bury_quietly(core::mem::replace(attached, nothing));
            }
        }
    }
}

/// The current task: valid while it runs, hence not `Send`.
#[derive(Debug)]
pub struct CurrentTask {
    task: *const Task,
    _not_send: PhantomData<*const ()>,
}

impl Deref for CurrentTask {
    type Target = Task;

    fn deref(&self) -> &Task {
        // SAFETY: a running task is kept alive by its CPU, and this value cannot leave the task.
        unsafe { &*self.task }
    }
}

impl CurrentTask {
    /// An owning handle.
    pub fn cloned(&self) -> Arc<Task> {
        // SAFETY: the pointer came from `Arc::into_raw`, and the CPU's own reference is alive.
        unsafe { Arc::increment_strong_count(self.task) };
        // SAFETY: the reference just counted is ours.
        unsafe { Arc::from_raw(self.task) }
    }
}

/// Somebody wants this CPU: lets the policy decide again.
#[cfg(target_os = "none")]
pub(crate) fn reschedule() {
    switch::schedule(false);
}

/// Lets others run.
pub fn yield_now() {
    #[cfg(target_os = "none")]
    switch::schedule(true);
}

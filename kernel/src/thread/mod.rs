//! Linux threads: one ostd task each, with a tid, a signal mask and a place in a [`Process`].

pub mod futex;
pub mod restart;
pub mod seccomp;
mod surroundings;
pub mod user_loop;
pub mod wait;

use crate::error::{Errno, Result};
use crate::process::namespace::pid::PidNamespace;
use crate::process::pid::Pid;
use crate::process::times::CpuTimes;
use crate::process::{self, Process};
use crate::signal::SigSet;
use crate::signal::state::ThreadSignals;
use alloc::sync::{Arc, Weak};
use coffer_abi_types::signal::stack_t;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ostd::sync::{Once, SpinLock, Waker};
use ostd::task::Task;
use ostd::user::UserContext;
pub use surroundings::Surroundings;

/// Bytes of a thread's name, its NUL included (prctl(PR_SET_NAME)).
pub const NAME_LEN: usize = 16;

/// A thread.
#[derive(Debug)]
pub struct Thread {
    process: Arc<Process>,
    id: SpinLock<Arc<Pid>>,
    /// The global number in `id`.
    tid: AtomicU32,
    task: Once<Weak<Task>>,
    name: SpinLock<[u8; NAME_LEN]>,
    /// Its own queue, mask and alternate stack.
    pub signals: ThreadSignals,
    /// At rest, as far as the freezer is concerned; changes with the counts of its group.
    pub is_frozen: AtomicBool,
    /// Its control group has used up its part of the CPUs: it waits before it goes on in ring 3.
    is_throttled: AtomicBool,
    /// Set by execve(2) of another thread: this one leaves at its next look.
    must_exit: AtomicBool,
    /// What exit(2) was given; counts if it is the last thread.
    pub exit_code: AtomicU32,
    /// Where to store 0 and wake a futex at the end (set_tid_address(2)).
    pub clear_child_tid: AtomicUsize,
    /// The robust futex list's head (set_robust_list(2)).
    pub robust_list: AtomicUsize,
    /// Which calls it may make.
    pub seccomp: seccomp::Seccomp,
    /// The call that a signal interrupted, if it can go on.
    pub restart: restart::Restart,
    /// The call that just ended with ERESTART*: number in the upper half, errno in the lower; 0: none. A load on the way out of every call.
    interrupted: AtomicU64,
    unknown_call: AtomicU64,
    /// `None` once it has left.
    surroundings: SpinLock<Option<Surroundings>>,
}

impl Thread {
    /// A thread of `process` without a task.
    pub fn new(
        process: Arc<Process>,
        id: Arc<Pid>,
        mask: SigSet,
        stack: stack_t,
        name: [u8; NAME_LEN],
        surroundings: Surroundings,
    ) -> Arc<Self> {
        let thread = Arc::new(Self {
            process,
            tid: AtomicU32::new(id.global()),
            id: SpinLock::new(id.clone()),
            task: Once::new(),
            name: SpinLock::new(name),
            signals: ThreadSignals::new(mask, stack),
            is_throttled: AtomicBool::new(false),
            must_exit: AtomicBool::new(false),
            is_frozen: AtomicBool::new(false),
            exit_code: AtomicU32::new(0),
            clear_child_tid: AtomicUsize::new(0),
            robust_list: AtomicUsize::new(0),
            seccomp: seccomp::Seccomp::default(),
            restart: restart::Restart::default(),
            interrupted: AtomicU64::new(0),
            unknown_call: AtomicU64::new(u64::MAX),
            surroundings: SpinLock::new(Some(surroundings)),
        });
        id.attach_thread(&thread);
        thread
    }

    /// The current thread; `None` in a kernel task.
    pub fn current() -> Option<Arc<Self>> {
        Task::current()?.data().clone().downcast().ok()
    }

    /// The control group of what runs in `task` has used up its part of the CPUs. May be called from an interrupt.
    pub fn note_task_throttled(task: &Task) {
        if let Some(thread) = task.data().downcast_ref::<Self>() {
            thread.note_throttled();
        }
    }

    /// It is to wait for its control group's next period.
    pub fn note_throttled(&self) {
        self.is_throttled.store(true, Ordering::Relaxed);
    }

    /// Whether it is to.
    pub fn is_throttled(&self) -> bool {
        self.is_throttled.load(Ordering::Relaxed)
    }

    /// Whether it was to; asked once.
    pub fn take_throttled(&self) -> bool {
        self.is_throttled.swap(false, Ordering::Relaxed)
    }

    /// Its process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Its id, with a number for each namespace.
    pub fn id(&self) -> Arc<Pid> {
        self.id.lock_irq().clone()
    }

    /// Takes over another id: that of the first thread, whose place it takes in execve(2).
    pub fn take_over_id(self: &Arc<Self>, id: Arc<Pid>) {
        id.attach_thread(self);
        self.tid.store(id.global(), Ordering::SeqCst);
        let old = core::mem::replace(&mut *self.id.lock_irq(), id);
        drop(old);
    }

    /// Thread id in the initial pid namespace.
    pub fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }

    /// Thread id in `namespace`; 0 where it cannot be seen.
    pub fn tid_in(&self, namespace: &Arc<PidNamespace>) -> u32 {
        self.id.lock_irq().number_in(namespace)
    }

    /// Whether its id is that of its process.
    pub fn is_leader(&self) -> bool {
        self.tid() == self.process.pid()
    }

    /// Its task; `None` before it runs and after it ended.
    pub fn task(&self) -> Option<Arc<Task>> {
        self.task.get()?.upgrade()
    }

    /// Names its task. Only the first call counts.
    pub fn set_task(&self, task: &Arc<Task>) {
        self.task.call_once(|| Arc::downgrade(task));
    }

    /// CPU time so far.
    pub fn cpu_times(&self) -> CpuTimes {
        let (user_ns, system_ns) = self.task().map_or((0, 0), |task| task.cpu_time_ns());
        CpuTimes { user_ns, system_ns }
    }

    /// Its name, padded with zeros.
    pub fn name(&self) -> [u8; NAME_LEN] {
        *self.name.lock()
    }

    /// Names it: at most 15 bytes count.
    pub fn set_name(&self, name: &[u8]) {
        *self.name.lock() = name_from(name);
    }

    /// Whether a signal is pending that is not blocked, or the thread has to die: interruptible sleeps end.
    pub fn has_pending_signal(&self) -> bool {
        let pending = self.signals.pending.set().0 | self.process.signals.pending.set().0;
        pending & !self.signals.mask().0 != 0
            || self.process.signals.has_control_work()
            || self.must_exit.load(Ordering::SeqCst)
    }

    /// Whether its end is on its way (SIGKILL, exit_group(2), execve(2) elsewhere): killable sleeps end.
    pub fn is_dying(&self) -> bool {
        self.process.signals.is_exiting() || self.must_exit.load(Ordering::SeqCst)
    }

    /// Whether execve(2) of another thread ends this one.
    pub fn must_exit(&self) -> bool {
        self.must_exit.load(Ordering::SeqCst)
    }

    /// Ends it at its next look, which is soon.
    pub fn order_exit(&self) {
        self.must_exit.store(true, Ordering::SeqCst);
        self.interrupt();
    }

    /// Brings it to look at its signals: out of an interruptible sleep, or out of ring 3.
    pub fn interrupt(&self) {
        self.signals.wake();
        if let Some(task) = self.task() {
            task.kick();
        }
    }

    /// Until the guard is dropped, a signal that this thread would take also wakes `waker`.
    pub fn wake_on_signal(&self, waker: Arc<Waker>) -> SignalWakeGuard<'_> {
        SignalWakeGuard { previous: self.signals.replace_waker(Some(waker)), thread: self }
    }

    /// Logs, once per program, that it asked for a call that there is not.
    pub fn note_unknown_call(&self, number: u64) {
        /// A program that tries numbers at random does not fill the log.
        const MOST: usize = 32;
        if self.unknown_call.swap(number, Ordering::Relaxed) == number {
            return;
        }
        let is_new = self.process.with_program(|program| {
            let is_new = program.unknown_calls.len() < MOST && !program.unknown_calls.contains(&number);
            if is_new {
                program.unknown_calls.push(number);
            }
            is_new
        });
        if is_new {
            let who = process::log::Who(&self.process);
            let line = format_args!("{who}: system call {} is not there", who.number(number));
            process::log::write(log::Level::Warn, line);
        }
    }

    /// Puts a call's result into `rax`, remembering what a restart after a signal needs.
    pub fn finish_call(&self, user: &mut UserContext, number: u64, result: Result<isize>) {
        match result {
            Ok(value) => user.regs.rax = value as u64,
            Err(error) => {
                let errno = error.errno();
                user.regs.rax = -(errno as i64) as u64;
                if errno as i32 >= Errno::ERESTARTSYS as i32 {
                    self.interrupted.store(number << 32 | errno as u64, Ordering::Relaxed);
                }
            }
        }
    }

    /// Whether the call that just ended wants to be made again after signals.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) != 0
    }

    /// The call that just ended with one of ERESTART*, and which; asked once.
    pub fn take_interrupted(&self) -> Option<(u64, i32)> {
        match self.interrupted.swap(0, Ordering::Relaxed) {
            0 => None,
            both => Some((both >> 32, both as u32 as i32)),
        }
    }
}

/// A name as it is stored: at most 15 bytes, padded with zeros.
pub fn name_from(name: &[u8]) -> [u8; NAME_LEN] {
    let mut stored = [0; NAME_LEN];
    let len = name.len().min(NAME_LEN - 1);
    stored[..len].copy_from_slice(&name[..len]);
    stored
}

/// See [`Thread::wake_on_signal`].
#[derive(Debug)]
pub struct SignalWakeGuard<'a> {
    thread: &'a Thread,
    previous: Option<Arc<Waker>>,
}

impl Drop for SignalWakeGuard<'_> {
    fn drop(&mut self) {
        let _ = self.thread.signals.replace_waker(self.previous.take());
    }
}

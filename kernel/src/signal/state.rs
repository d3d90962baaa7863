//! The part of a process and of a thread that signals work on.

use super::pending::Pending;
use super::{Actions, SigSet, Signal};
use crate::event::Pollee;
use crate::process::exit_status::ExitStatus;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SS_DISABLE, stack_t};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ostd::sync::{SpinLock, WaitQueue, Waker};

/// The process ends: its threads leave at their next look.
const EXITING: u32 = 1;
/// The process is stopped, or stopping: its threads park at their next look.
const STOPPING: u32 = 2;
/// An exception without a handler ends even process 1 of a pid namespace.
const UNPROTECTED: u32 = 4;
/// The process is frozen, or freezing: its threads park at their next look.
const FREEZING: u32 = 8;

/// What all threads of a process share.
#[derive(Debug)]
pub struct ProcessSignals {
    /// Sent to the process.
    pub pending: Pending,
    /// For signalfd: told of every signal that arrives, at the process or one of its threads.
    pub pollee: Pollee,
    /// Where stopped threads sleep.
    pub resumed: WaitQueue,
    /// Group exit and job control.
    pub control: SpinLock<Control>,
    actions: SpinLock<Arc<Actions>>,
    flags: AtomicU32,
}

/// Group exit and job control.
#[derive(Debug, Default)]
pub struct Control {
    /// The status with which the process ends, once that is decided.
    pub exit: Option<ExitStatus>,
    /// The signal that stops it.
    pub stop_signal: Option<Signal>,
    /// Threads parked.
    pub stopped_threads: usize,
    /// What wait4(2) has not been told yet.
    pub event: Option<JobEvent>,
    /// SIGCHLD about being continued is owed to the parent; the first thread to run again sends it.
    pub owes_continued: bool,
}

/// A change that WUNTRACED and WCONTINUED report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// Stopped by this signal.
    Stopped(Signal),
    /// Continued by SIGCONT.
    Continued,
}

impl ProcessSignals {
    /// Nothing pending.
    pub fn new(actions: Arc<Actions>) -> Self {
        Self {
            pending: Pending::new(),
            pollee: Pollee::new(),
            resumed: WaitQueue::new(),
            control: SpinLock::new(Control::default()),
            actions: SpinLock::new(actions),
            flags: AtomicU32::new(0),
        }
    }

    /// The dispositions.
    pub fn actions(&self) -> Arc<Actions> {
        self.actions.lock_irq().clone()
    }

    /// Replaces the dispositions (execve(2) ends their sharing).
    pub fn set_actions(&self, actions: Arc<Actions>) {
        let old = core::mem::replace(&mut *self.actions.lock_irq(), actions);
        drop(old);
    }

    /// Whether the process ends.
    pub fn is_exiting(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & EXITING != 0
    }

    /// Whether it is stopped or about to.
    pub fn is_stopping(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & STOPPING != 0
    }

    /// Whether its group is to be frozen.
    pub fn is_freezing(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & FREEZING != 0
    }

    /// Freezes it or lets it go on. Whoever does so wakes its threads.
    pub fn set_freezing(&self, is_freezing: bool) {
        if is_freezing {
            self.flags.fetch_or(FREEZING, Ordering::SeqCst);
        } else {
            self.flags.fetch_and(!FREEZING, Ordering::SeqCst);
        }
    }

    /// Whether threads have to look at [`Self::control`].
    pub fn has_control_work(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & (EXITING | STOPPING | FREEZING) != 0
    }

    /// Lets default actions end the process even if it is process 1 of a pid namespace: an exception leaves no other way out.
    pub fn end_protection(&self) {
        self.flags.fetch_or(UNPROTECTED, Ordering::SeqCst);
    }

    /// Whether default actions end even process 1 of a pid namespace.
    pub fn is_unprotected(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & UNPROTECTED != 0
    }

    /// Decides the status with which the process ends, unless that is decided already; returns the one that counts.
    pub fn begin_exit(&self, status: ExitStatus) -> ExitStatus {
        let mut control = self.control.lock_irq();
        let status = *control.exit.get_or_insert(status);
        control.stop_signal = None;
        self.flags.fetch_or(EXITING, Ordering::SeqCst);
        self.flags.fetch_and(!STOPPING, Ordering::SeqCst);
        drop(control);
        self.resumed.wake_all();
        status
    }

    /// Asks all threads to stop for `signal`; `false` if the process ends or stops already.
    pub fn begin_stop(&self, signal: Signal) -> bool {
        let mut control = self.control.lock_irq();
        if control.exit.is_some() || control.stop_signal.is_some() {
            return false;
        }
        control.stop_signal = Some(signal);
        control.stopped_threads = 0;
        self.flags.fetch_or(STOPPING, Ordering::SeqCst);
        true
    }

    /// Lets stopped threads run again: SIGCONT.
    pub fn end_stop(&self) {
        let mut control = self.control.lock_irq();
        if control.stop_signal.take().is_some() {
            control.event = Some(JobEvent::Continued);
            control.owes_continued = true;
        }
        control.stopped_threads = 0;
        self.flags.fetch_and(!STOPPING, Ordering::SeqCst);
        drop(control);
        self.resumed.wake_all();
    }
}

/// What one thread has for itself.
#[derive(Debug)]
pub struct ThreadSignals {
    /// Sent to the thread.
    pub pending: Pending,
    /// The alternate stack.
    pub alternate_stack: SpinLock<stack_t>,
    mask: AtomicU64,
    /// The mask to put back when the call that replaced it (rt_sigsuspend, ppoll …) is over and its handlers have been set up.
    saved_mask: AtomicU64,
    has_saved_mask: AtomicBool,
    waker: SpinLock<Option<Arc<Waker>>>,
}

/// No alternate stack.
pub const NO_ALTERNATE_STACK: stack_t = stack_t { ss_sp: 0, ss_flags: SS_DISABLE, __pad: 0, ss_size: 0 };

impl ThreadSignals {
    /// Nothing pending, `mask` blocked.
    pub fn new(mask: SigSet, alternate_stack: stack_t) -> Self {
        Self {
            pending: Pending::new(),
            alternate_stack: SpinLock::new(alternate_stack),
            mask: AtomicU64::new(mask.0),
            saved_mask: AtomicU64::new(0),
            has_saved_mask: AtomicBool::new(false),
            waker: SpinLock::new(None),
        }
    }

    /// The signals that are blocked.
    pub fn mask(&self) -> SigSet {
        SigSet(self.mask.load(Ordering::SeqCst))
    }

    /// Blocks exactly `mask`. Only the thread itself does this.
    pub fn set_mask(&self, mask: SigSet) -> SigSet {
        SigSet(self.mask.swap(mask.0 & !SigSet::UNMASKABLE.0, Ordering::SeqCst))
    }

    /// Blocks `mask` until the call is over: the handlers of a signal that ends it run under `mask`, then the mask of before comes back.
    pub fn set_mask_for_call(&self, mask: SigSet) {
        let old = self.set_mask(mask);
        if !self.has_saved_mask.swap(true, Ordering::Relaxed) {
            self.saved_mask.store(old.0, Ordering::Relaxed);
        }
    }

    /// The mask that a handler's frame must bring back: the saved one if there is one, which is forgotten.
    pub fn take_saved_mask(&self) -> Option<SigSet> {
        let has_one = self.has_saved_mask.swap(false, Ordering::Relaxed);
        has_one.then(|| SigSet(self.saved_mask.load(Ordering::Relaxed)))
    }

    /// Puts the saved mask back, if there is one.
    pub fn restore_mask(&self) {
        if let Some(mask) = self.take_saved_mask() {
            self.set_mask(mask);
        }
    }

    /// Whether a mask waits to be put back.
    pub fn has_saved_mask(&self) -> bool {
        self.has_saved_mask.load(Ordering::Relaxed)
    }

    /// Names who is to be woken by a signal; returns the one before.
    pub fn replace_waker(&self, waker: Option<Arc<Waker>>) -> Option<Arc<Waker>> {
        core::mem::replace(&mut *self.waker.lock_irq(), waker)
    }

    /// Ends an interruptible sleep.
    pub fn wake(&self) {
        let waker = self.waker.lock_irq().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

//! Linux threads: one ostd task each, with a tid, a signal mask and a place in a [`Process`].

pub mod futex;
pub mod restart;
pub mod wait;

use crate::error::Result;
use crate::process::Process;
use alloc::sync::Arc;
use ostd::user::UserContext;

/// A thread.
#[derive(Debug)]
pub struct Thread {
    process: Arc<Process>,
    /// The call that a signal interrupted, if it can go on.
    pub restart: restart::Restart,
}

impl Thread {
    /// The current thread; `None` in a kernel task.
    pub fn current() -> Option<Arc<Self>> {
        todo!()
    }

    /// Its process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Thread id in the initial pid namespace.
    pub fn tid(&self) -> u32 {
        todo!()
    }

    /// Whether a signal is pending that is not blocked, or the thread has to die: interruptible sleeps end.
    pub fn has_pending_signal(&self) -> bool {
        todo!()
    }

    /// Until the guard is dropped, a signal that this thread would take also wakes `waker`.
    pub fn wake_on_signal(&self, waker: Arc<ostd::sync::Waker>) -> SignalWakeGuard<'_> {
        let _ = waker;
        todo!()
    }

    /// Logs, once per program, that it asked for a call that there is not.
    pub fn note_unknown_call(&self, number: u64) {
        let _ = number;
        todo!()
    }

    /// Puts a call's result into `rax`, remembering what a restart after a signal needs.
    pub fn finish_call(&self, user: &mut UserContext, number: u64, result: Result<isize>) {
        let _ = (user, number, result);
        todo!()
    }
}

/// See [`Thread::wake_on_signal`].
#[derive(Debug)]
pub struct SignalWakeGuard<'a> {
    _thread: &'a Thread,
}

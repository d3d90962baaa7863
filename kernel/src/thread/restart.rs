//! Calls that go on after a signal with other arguments than they began with: what restart_syscall(2) finds.

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use alloc::boxed::Box;
use core::fmt;
use ostd::sync::SpinLock;

/// How an interrupted call goes on.
pub type Continuation = Box<dyn FnOnce(&mut Context<'_>) -> Result<isize> + Send>;

/// A thread's interrupted call, if it can go on.
#[derive(Default)]
pub struct Restart(SpinLock<Option<Continuation>>);

impl fmt::Debug for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Restart")
    }
}

impl Restart {
    /// Remembers how the call goes on; what the call then returns.
    pub fn set(&self, go_on: impl FnOnce(&mut Context<'_>) -> Result<isize> + Send + 'static) -> Error {
        *self.0.lock() = Some(Box::new(go_on));
        Errno::ERESTART_RESTARTBLOCK.into()
    }

    /// Takes it out, to go on: once.
    pub fn take(&self) -> Option<Continuation> {
        self.0.lock().take()
    }
}

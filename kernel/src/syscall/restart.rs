//! [restart_syscall(2)](https://man7.org/linux/man-pages/man2/restart_syscall.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};

/// Goes on with the call that a signal interrupted.
pub fn sys_restart_syscall(context: &mut Context<'_>) -> Result<isize> {
    match context.thread.restart.take() {
        Some(go_on) => go_on(context),
        None => Err(Errno::EINTR.into()),
    }
}

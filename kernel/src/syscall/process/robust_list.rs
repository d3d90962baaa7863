//! [set_robust_list(2), get_robust_list(2)](https://man7.org/linux/man-pages/man2/get_robust_list.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::Capability;
use crate::syscall::UserPtr;
use core::sync::atomic::Ordering;

/// Length of the head: three words.
const HEAD_LEN: usize = 24;

/// Names the list of locks that are marked at the thread's end.
pub fn sys_set_robust_list(head: usize, len: usize, context: &mut Context<'_>) -> Result<usize> {
    if len != HEAD_LEN {
        return Err(Errno::EINVAL.into());
    }
    context.thread.robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

/// The list of a thread.
pub fn sys_get_robust_list(
    tid: i32,
    head: UserPtr<u64>,
    len: UserPtr<u64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let thread = if tid == 0 {
        context.thread.clone()
    } else {
        let number = u32::try_from(tid).map_err(|_| Errno::ESRCH)?;
        let id = context.process.pid_namespace().find(number).ok_or(Errno::ESRCH)?;
        id.thread().ok_or(Errno::ESRCH)?
    };
    let own = context.process.credentials();
    let other = thread.process().credentials();
    if other.uid[1] != own.uid[1] && !own.has_in(&other.user, Capability::SysPtrace) {
        return Err(Errno::EPERM.into());
    }
    len.write(&(HEAD_LEN as u64))?;
    head.write(&(thread.robust_list.load(Ordering::Relaxed) as u64))?;
    Ok(0)
}

//! [rt_sigsuspend(2)](https://man7.org/linux/man-pages/man2/sigsuspend.2.html), [pause(2)](https://man7.org/linux/man-pages/man2/pause.2.html),
//! [rt_sigtimedwait(2)](https://man7.org/linux/man-pages/man2/rt_sigtimedwait.2.html)

use super::check_set_len;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::{SigSet, deliver};
use crate::syscall::UserPtr;
use crate::thread::wait;
use coffer_abi_types::signal::siginfo_t;
use coffer_abi_types::time::timespec;
use ostd::sync::WaitQueue;

/// Waits under another mask until a handler has run.
pub fn sys_rt_sigsuspend(mask: UserPtr<u64>, set_len: usize, context: &mut Context<'_>) -> Result<usize> {
    check_set_len(set_len)?;
    let mask = SigSet::mask(mask.read()?);
    context.thread.signals.set_mask_for_call(mask);
    sys_pause(context)
}

/// Waits until a handler has run.
pub fn sys_pause(_context: &mut Context<'_>) -> Result<usize> {
    // Nobody else wakes this queue: only signals end the sleep, and without a handler it begins anew.
    match wait::wait_until(&WaitQueue::new(), None, || None::<()>) {
        Ok(()) => Ok(0),
        Err(_) => Err(Errno::ERESTARTNOHAND.into()),
    }
}

/// Takes a signal without a handler.
pub fn sys_rt_sigtimedwait(
    set: UserPtr<u64>,
    info: UserPtr<siginfo_t>,
    timeout: UserPtr<timespec>,
    set_len: usize,
    context: &mut Context<'_>,
) -> Result<i32> {
    check_set_len(set_len)?;
    let set = SigSet::mask(set.read()?);
    let deadline_ns = match timeout.non_null() {
        None => None,
        Some(timeout) => {
            let timeout_ns = timeout.read()?.to_ns().ok_or(Errno::EINVAL)?;
            Some(crate::time::monotonic_now().saturating_add(timeout_ns))
        }
    };
    let thread = context.thread;
    // The mask stays: a signal that is ignored by default is queued only where it is blocked, and senders wake sleepers that block it, too.
    let taken = match wait::wait_until(&WaitQueue::new(), deadline_ns, || deliver::take(thread, set)) {
        Ok(taken) => taken,
        Err(error) if error.errno() == Errno::ETIMEDOUT => return Err(Errno::EAGAIN.into()),
        Err(_) => return Err(Errno::EINTR.into()),
    };
    info.write_if_some(&taken.to_abi())?;
    Ok(taken.signal.number())
}

//! [rt_sigprocmask(2)](https://man7.org/linux/man-pages/man2/sigprocmask.2.html),
//! [rt_sigpending(2)](https://man7.org/linux/man-pages/man2/sigpending.2.html)

use super::{SET_LEN, check_set_len};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::SigSet;
use crate::syscall::UserPtr;
use coffer_abi_types::signal::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK};
use zerocopy::IntoBytes;

/// The thread's mask.
pub fn sys_rt_sigprocmask(
    how: i32,
    new: UserPtr<u64>,
    old: UserPtr<u64>,
    set_len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    check_set_len(set_len)?;
    let signals = &context.thread.signals;
    let before = signals.mask();
    if !new.is_null() {
        let set = new.read()?;
        let mask = match how {
            SIG_BLOCK => before.0 | set,
            SIG_UNBLOCK => before.0 & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        signals.set_mask(SigSet::mask(mask));
    }
    old.write_if_some(&before.0)?;
    Ok(0)
}

/// What is pending and blocked.
pub fn sys_rt_sigpending(set: UserPtr<u8>, set_len: usize, context: &mut Context<'_>) -> Result<usize> {
    if set_len > SET_LEN {
        return Err(Errno::EINVAL.into());
    }
    let signals = &context.thread.signals;
    let pending = signals.pending.set().0 | context.process.signals.pending.set().0;
    set.write_array(&(pending & signals.mask().0).as_bytes()[..set_len])?;
    Ok(0)
}

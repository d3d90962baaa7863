//! [mlock(2)](https://man7.org/linux/man-pages/man2/mlock.2.html) and its family.

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::mm::Limits;
use crate::mm::lock::LockMode;
use coffer_abi_types::mman::{MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT};

/// Locks a range into memory.
pub fn sys_mlock(address: usize, len: usize, context: &mut Context<'_>) -> Result<()> {
    sys_mlock2(address, len, 0, context)
}

/// Locks a range into memory, at once or as its pages are used.
pub fn sys_mlock2(address: usize, len: usize, flags: u32, context: &mut Context<'_>) -> Result<()> {
    let mode = match flags {
        0 => LockMode::Now,
        MLOCK_ONFAULT => LockMode::OnFault,
        _ => return Err(Errno::EINVAL.into()),
    };
    super::space(context)?.lock(address, len, mode, &Limits::of(context.process))
}

/// Unlocks a range.
pub fn sys_munlock(address: usize, len: usize, context: &mut Context<'_>) -> Result<()> {
    super::space(context)?.unlock(address, len)
}

/// Locks everything, now, later or both.
pub fn sys_mlockall(flags: u32, context: &mut Context<'_>) -> Result<()> {
    let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if flags & !known != 0 || flags & (MCL_CURRENT | MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL.into());
    }
    let mode = if flags & MCL_ONFAULT != 0 { LockMode::OnFault } else { LockMode::Now };
    let wanted = |flag| (flags & flag != 0).then_some(mode);
    let limits = Limits::of(context.process);
    super::space(context)?.lock_all(wanted(MCL_CURRENT), wanted(MCL_FUTURE), &limits)
}

/// Unlocks everything.
pub fn sys_munlockall(context: &mut Context<'_>) -> Result<()> {
    super::space(context)?.unlock_all();
    Ok(())
}

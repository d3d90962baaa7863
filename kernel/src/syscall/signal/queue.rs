//! [rt_sigqueueinfo(2), rt_tgsigqueueinfo(2)](https://man7.org/linux/man-pages/man2/rt_sigqueueinfo.2.html)

use super::{kill, signal};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::signal::permission::check;
use crate::signal::{SigInfo, send};
use crate::syscall::UserPtr;
use alloc::sync::Arc;
use coffer_abi_types::signal::{SI_TKILL, siginfo_t};

/// Sends with a siginfo to a process.
pub fn sys_rt_sigqueueinfo(
    pid: i32,
    number: i32,
    info: UserPtr<siginfo_t>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let info = info.read()?;
    let id = context.process.pid_namespace().find(pid.unsigned_abs()).ok_or(Errno::ESRCH)?;
    let target = id.process().ok_or(Errno::ESRCH)?;
    check_code(&info, Arc::ptr_eq(&target, context.process))?;
    if number == 0 {
        check(context.process, &target, None)?;
        return Ok(0);
    }
    let signal = signal(number)?;
    check(context.process, &target, Some(signal))?;
    send::to_process(&target, SigInfo::from_abi(signal, &info))?;
    Ok(0)
}

/// Sends with a siginfo to a thread.
pub fn sys_rt_tgsigqueueinfo(
    pid: i32,
    tid: i32,
    number: i32,
    info: UserPtr<siginfo_t>,
    context: &mut Context<'_>,
) -> Result<usize> {
    if pid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = info.read()?;
    let target = kill::thread(tid, Some(pid), context)?;
    check_code(&info, Arc::ptr_eq(target.process(), context.process))?;
    if number == 0 {
        check(context.process, target.process(), None)?;
        return Ok(0);
    }
    let signal = signal(number)?;
    check(context.process, target.process(), Some(signal))?;
    send::to_thread(&target, SigInfo::from_abi(signal, &info))?;
    Ok(0)
}

/// Nobody may pretend to be the kernel or kill(2) towards another.
fn check_code(info: &siginfo_t, is_own: bool) -> Result<()> {
    let pretends = info.si_code >= 0 || info.si_code == SI_TKILL;
    if pretends && !is_own { Err(Errno::EPERM.into()) } else { Ok(()) }
}

//! [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), pidfd_send_signal(2), pidfd_getfd(2)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::proc;
use crate::process::credentials::Capability;
use crate::process::pidfd::{self, PIDFD_NONBLOCK, PidFile};
use crate::process::rlimit::Resource;
use crate::signal::permission;
use crate::signal::{SigInfo, Signal, send};
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use coffer_abi_types::signal::{SI_USER, siginfo_t};

/// A descriptor for a process.
pub fn sys_pidfd_open(pid: i32, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags & !PIDFD_NONBLOCK != 0 || pid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = context.process.pid_namespace().find(pid as u32).ok_or(Errno::ESRCH)?;
    if id.process().is_none() {
        // A thread that is not its process's first one.
        return Err(Errno::EINVAL.into());
    }
    pidfd::install(context.process, &id, flags & PIDFD_NONBLOCK != 0)
}

/// Sends a signal to the process that a descriptor names.
pub fn sys_pidfd_send_signal(
    fd: Fd,
    number: i32,
    info: UserPtr<siginfo_t>,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = context.process.fds().get(fd)?;
    let process = match file.downcast::<PidFile>() {
        Some(pid_file) => pid_file.id().process().ok_or(Errno::ESRCH)?,
        // Older than pidfds: a directory /proc/PID.
        None => proc::process_of(file.inode()?).ok_or(Errno::EBADF)?,
    };
    let signal = if number == 0 { None } else { Some(Signal::new(number).ok_or(Errno::EINVAL)?) };
    let info = match (signal, info.non_null()) {
        (Some(signal), None) => Some(SigInfo::from_process(signal, SI_USER, context.process)),
        (_, Some(info)) => {
            let info = info.read()?;
            if info.si_signo != number {
                return Err(Errno::EINVAL.into());
            }
            let is_other = !Arc::ptr_eq(&process, context.process);
            if is_other && (info.si_code >= 0 || info.si_code == coffer_abi_types::signal::SI_TKILL) {
                return Err(Errno::EPERM.into());
            }
            signal.map(|signal| SigInfo::from_abi(signal, &info))
        }
        (None, None) => None,
    };
    permission::check(context.process, &process, signal)?;
    if process.exit_status().is_some() && process.parent().is_none() {
        return Err(Errno::ESRCH.into());
    }
    if let Some(info) = info {
        send::to_process(&process, info)?;
    }
    Ok(0)
}

/// A copy of another process's descriptor.
pub fn sys_pidfd_getfd(fd: Fd, target: Fd, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = context.process.fds().get(fd)?;
    let process = file.downcast::<PidFile>().ok_or(Errno::EBADF)?.id().process().ok_or(Errno::ESRCH)?;
    let (own, other) = (context.process.credentials(), process.credentials());
    let is_same = Arc::ptr_eq(&own.user, &other.user)
        && other.uid[..3].iter().all(|&uid| uid == own.uid[3])
        && other.gid[..3].iter().all(|&gid| gid == own.gid[3])
        // Nor more rights than its own by way of the other's files (ptrace(2), PTRACE_MODE_ATTACH).
        && other.capabilities[0] & !own.capabilities[0] == 0;
    if !(own.has_in(&other.user, Capability::SysPtrace) || is_same && process.dumpable() == 1) {
        return Err(Errno::EPERM.into());
    }
    let found = process.fds().get(target)?;
    context.process.fds().install(found, true, context.process.rlimit(Resource::OpenFiles).0)
}

//! [unshare(2)](https://man7.org/linux/man-pages/man2/unshare.2.html), [setns(2)](https://man7.org/linux/man-pages/man2/setns.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::pseudo::namespace::Namespace;
use crate::process::namespace::CLONE_NAMESPACES;
use crate::process::namespace::enter;
use crate::process::pidfd::PidFile;
use crate::syscall::Fd;
use alloc::vec::Vec;
use coffer_abi_types::process::CLONE_NEWUSER;

/// Stops sharing.
pub fn sys_unshare(flags: u64, context: &mut Context<'_>) -> Result<usize> {
    enter::unshare(context.thread, flags)?;
    Ok(0)
}

/// Enters a namespace that a file stands for, or those of a process that a pidfd names.
pub fn sys_setns(fd: Fd, kind: u32, context: &mut Context<'_>) -> Result<usize> {
    let kind = u64::from(kind);
    let file = context.process.fds().get(fd)?;
    if let Some(namespace) = Namespace::of_file(&file) {
        if kind != 0 && kind != namespace.flag() {
            return Err(Errno::EINVAL.into());
        }
        enter::enter(context.thread, core::slice::from_ref(&namespace))?;
        return Ok(0);
    }
    let pidfd = file.downcast::<PidFile>().ok_or(Errno::EINVAL)?;
    if kind == 0 || kind & !(CLONE_NAMESPACES | CLONE_NEWUSER) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = pidfd.id().process().ok_or(Errno::ESRCH)?;
    let of_target = target.namespaces()?;
    let all = [
        Namespace::User(target.credentials().user.clone()),
        Namespace::Mount(of_target.mount.clone()),
        Namespace::Uts(of_target.uts.clone()),
        Namespace::Ipc(of_target.ipc.clone()),
        Namespace::Pid(target.pid_namespace().clone()),
        Namespace::Net(of_target.net.clone()),
        Namespace::Cgroup(of_target.cgroup.clone()),
    ];
    let wanted: Vec<Namespace> = all.into_iter().filter(|namespace| namespace.flag() & kind != 0).collect();
    enter::enter(context.thread, &wanted)?;
    Ok(0)
}

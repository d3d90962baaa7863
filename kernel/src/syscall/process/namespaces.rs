//! [unshare(2)](https://man7.org/linux/man-pages/man2/unshare.2.html), [setns(2)](https://man7.org/linux/man-pages/man2/setns.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::namespace::CLONE_NAMESPACES;
use crate::process::namespace::enter;
use crate::process::namespace::file::{Namespace, NamespaceFile};
use crate::process::pidfd::PidFile;
use crate::syscall::Fd;
use alloc::vec::Vec;

/// Stops sharing.
pub fn sys_unshare(flags: u64, context: &mut Context<'_>) -> Result<usize> {
    enter::unshare(context.process, flags)?;
    Ok(0)
}

/// Enters a namespace that a file stands for, or those of a process that a pidfd names.
pub fn sys_setns(fd: Fd, kind: u32, context: &mut Context<'_>) -> Result<usize> {
    let kind = u64::from(kind);
    let file = context.process.fds().get(fd)?;
    if let Some(NamespaceFile(namespace)) = file.downcast::<NamespaceFile>() {
        if kind != 0 && kind != namespace.kind() {
            return Err(Errno::EINVAL.into());
        }
        enter::enter(context.process, core::slice::from_ref(namespace))?;
        return Ok(0);
    }
    let pidfd = file.downcast::<PidFile>().ok_or(Errno::EINVAL)?;
    if kind == 0 || kind & !CLONE_NAMESPACES != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = pidfd.id().process().ok_or(Errno::ESRCH)?;
    let of = |name: &str| Namespace::of(&target, name);
    let all: Vec<Namespace> = ["mnt", "uts", "ipc", "pid"].into_iter().filter_map(of).collect();
    if all.is_empty() {
        return Err(Errno::ESRCH.into());
    }
    let wanted: Vec<Namespace> = all.into_iter().filter(|namespace| namespace.kind() & kind != 0).collect();
    enter::enter(context.process, &wanted)?;
    Ok(0)
}

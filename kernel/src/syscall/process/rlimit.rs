//! [getrlimit(2), setrlimit(2), prlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)

use super::process_of;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::Process;
use crate::process::credentials::{Capability, Credentials};
use crate::process::rlimit::{COUNT, Resource};
use crate::syscall::UserPtr;
use coffer_abi_types::process::rlimit64;

/// The most that RLIMIT_NOFILE may be (/proc/sys/fs/nr_open).
const MAX_OPEN_FILES: u64 = 1 << 20;

/// A limit.
pub fn sys_getrlimit(resource: u32, limit: UserPtr<rlimit64>, context: &mut Context<'_>) -> Result<usize> {
    sys_prlimit64(0, resource, UserPtr::new(0), limit, context)
}

/// Sets a limit.
pub fn sys_setrlimit(resource: u32, limit: UserPtr<rlimit64>, context: &mut Context<'_>) -> Result<usize> {
    let new = limit.read()?;
    set(context.process, resource, Some(new), &context.process.credentials())?;
    Ok(0)
}

/// Gets and sets a limit of any process.
pub fn sys_prlimit64(
    pid: i32,
    resource: u32,
    new: UserPtr<rlimit64>,
    old: UserPtr<rlimit64>,
    context: &mut Context<'_>,
) -> Result<usize> {
    let new = if new.is_null() { None } else { Some(new.read()?) };
    let process = process_of(pid, context)?;
    let credentials = context.process.credentials();
    if !alloc::sync::Arc::ptr_eq(&process, context.process) {
        check_identity(&credentials, &process.credentials())?;
    }
    let before = set(&process, resource, new, &credentials)?;
    old.write_if_some(&before)?;
    Ok(0)
}

fn set(
    process: &Process,
    resource: u32,
    new: Option<rlimit64>,
    credentials: &Credentials,
) -> Result<rlimit64> {
    let resource = resource as usize;
    if resource >= COUNT {
        return Err(Errno::EINVAL.into());
    }
    let before = process.limits()[resource];
    if let Some(new) = new {
        if new.rlim_cur > new.rlim_max {
            return Err(Errno::EINVAL.into());
        }
        if resource == Resource::OpenFiles as usize && new.rlim_max > MAX_OPEN_FILES {
            return Err(Errno::EPERM.into());
        }
        if new.rlim_max > before.rlim_max && !credentials.has(Capability::SysResource) {
            return Err(Errno::EPERM.into());
        }
        process.set_limit(resource, new);
    }
    Ok(before)
}

/// prlimit(2): the same ids everywhere, or CAP_SYS_RESOURCE.
fn check_identity(own: &Credentials, other: &Credentials) -> Result<()> {
    let is_same = other.uid[..3].iter().all(|&uid| uid == own.uid[0])
        && other.gid[..3].iter().all(|&gid| gid == own.gid[0]);
    if is_same || own.has_in(&other.user, Capability::SysResource) {
        Ok(())
    } else {
        Err(Errno::EPERM.into())
    }
}

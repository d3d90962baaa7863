//! [getgroups(2), setgroups(2)](https://man7.org/linux/man-pages/man2/getgroups.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use crate::syscall::UserPtr;
use alloc::vec::Vec;

/// The most groups.
const MAX: usize = 65536;

/// The supplementary groups.
pub fn sys_getgroups(len: i32, list: UserPtr<u32>, context: &mut Context<'_>) -> Result<usize> {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let credentials = context.process.credentials();
    let groups: Vec<u32> = credentials.groups.iter().map(|&gid| credentials.shown_gid(gid)).collect();
    if len == 0 {
        return Ok(groups.len());
    }
    if len < groups.len() {
        return Err(Errno::EINVAL.into());
    }
    list.write_array(&groups)?;
    Ok(groups.len())
}

/// Replaces the supplementary groups.
pub fn sys_setgroups(len: usize, list: UserPtr<u32>, context: &mut Context<'_>) -> Result<usize> {
    let credentials = context.process.credentials();
    if !credentials.has_own(Capability::Setgid) || !credentials.user.may_set_groups() {
        return Err(Errno::EPERM.into());
    }
    if len > MAX {
        return Err(Errno::EINVAL.into());
    }
    let groups = list.read_array(len)?;
    let mut groups = groups.into_iter().map(|gid| credentials.kernel_gid(gid)).collect::<Result<Vec<_>>>()?;
    groups.sort_unstable();
    context.process.set_credentials(Credentials { groups: groups.into(), ..(*credentials).clone() });
    Ok(0)
}

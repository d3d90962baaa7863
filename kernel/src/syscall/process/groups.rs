//! [getgroups(2), setgroups(2)](https://man7.org/linux/man-pages/man2/getgroups.2.html)

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use crate::syscall::UserPtr;

/// The most groups.
const MAX: usize = 65536;

/// The supplementary groups.
pub fn sys_getgroups(len: i32, list: UserPtr<u32>, context: &mut Context<'_>) -> Result<usize> {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let groups = context.process.credentials().groups.clone();
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
    if !credentials.has(Capability::Setgid) {
        return Err(Errno::EPERM.into());
    }
    if len > MAX {
        return Err(Errno::EINVAL.into());
    }
    let mut groups = list.read_array(len)?;
    groups.sort_unstable();
    context.process.set_credentials(Credentials { groups: groups.into(), ..(*credentials).clone() });
    Ok(0)
}

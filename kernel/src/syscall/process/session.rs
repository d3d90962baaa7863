//! [setpgid(2)](https://man7.org/linux/man-pages/man2/setpgid.2.html), getpgid(2), getpgrp(2),
//! [setsid(2)](https://man7.org/linux/man-pages/man2/setsid.2.html), getsid(2)

use super::process_of;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::process::job;

/// Moves a process into a group.
pub fn sys_setpgid(pid: i32, group: i32, context: &mut Context<'_>) -> Result<usize> {
    let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
    let process = process_of(pid, context)?;
    job::set_group(context.process, &process, group)?;
    Ok(0)
}

/// A process's group.
pub fn sys_getpgid(pid: i32, context: &mut Context<'_>) -> Result<u32> {
    let group = process_of(pid, context)?.group();
    Ok(group.id().number_in(context.process.pid_namespace()))
}

/// The caller's group.
pub fn sys_getpgrp(context: &mut Context<'_>) -> Result<u32> {
    sys_getpgid(0, context)
}

/// A new session.
pub fn sys_setsid(context: &mut Context<'_>) -> Result<u32> {
    job::new_session(context.process)?;
    Ok(context.process.id().own())
}

/// A process's session.
pub fn sys_getsid(pid: i32, context: &mut Context<'_>) -> Result<u32> {
    let session = process_of(pid, context)?.session();
    Ok(session.id().number_in(context.process.pid_namespace()))
}

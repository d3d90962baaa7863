//! dup(2), dup2(2), dup3(2).

use super::descriptor_limit;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::O_CLOEXEC;
use crate::syscall::Fd;

/// dup(2).
pub fn sys_dup(fd: Fd, context: &mut Context<'_>) -> Result<Fd> {
    let fds = context.process.fds();
    fds.install(fds.get(fd)?, false, descriptor_limit(context))
}

/// dup2(2).
pub fn sys_dup2(old: Fd, new: Fd, context: &mut Context<'_>) -> Result<Fd> {
    if old == new {
        context.process.fds().get(old)?;
        return Ok(new);
    }
    sys_dup3(old, new, 0, context)
}

/// dup3(2).
pub fn sys_dup3(old: Fd, new: Fd, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags & !O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL.into());
    }
    let fds = context.process.fds();
    fds.install_at(new, fds.get(old)?, flags & O_CLOEXEC != 0, descriptor_limit(context))?;
    Ok(new)
}

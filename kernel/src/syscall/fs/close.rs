//! close(2), close_range(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::Fd;

const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// close(2).
pub fn sys_close(fd: Fd, context: &mut Context<'_>) -> Result<()> {
    context.process.fds().close(fd)
}

/// close_range(2).
pub fn sys_close_range(first: u32, last: u32, flags: u32, context: &mut Context<'_>) -> Result<()> {
    if flags & !CLOSE_RANGE_CLOEXEC != 0 || first > last {
        return Err(Errno::EINVAL.into());
    }
    let fds = context.process.fds();
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        fds.mark_range(first, last);
    } else {
        fds.close_range(first, last);
    }
    Ok(())
}

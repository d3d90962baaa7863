//! close(2), close_range(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::Fd;
use alloc::sync::Arc;

const CLOSE_RANGE_UNSHARE: u32 = 2;
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// close(2).
pub fn sys_close(fd: Fd, context: &mut Context<'_>) -> Result<()> {
    context.process.fds().close(fd)
}

/// close_range(2).
pub fn sys_close_range(first: u32, last: u32, flags: u32, context: &mut Context<'_>) -> Result<()> {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL.into());
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        let own = context.process.fds().duplicate()?;
        context.process.replace_fds(Some(Arc::new(own)));
    }
    let fds = context.process.fds();
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        fds.mark_range(first, last);
    } else {
        fds.close_range(first, last);
    }
    Ok(())
}

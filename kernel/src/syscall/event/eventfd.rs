//! eventfd(2): <https://man7.org/linux/man-pages/man2/eventfd.2.html>

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::event::eventfd;
use crate::fs::open_file::flags::{O_CLOEXEC, O_NONBLOCK};
use crate::syscall::Fd;

const EFD_SEMAPHORE: u32 = 1;

/// eventfd(2) before it had flags.
pub fn sys_eventfd(count: u32, context: &mut Context<'_>) -> Result<Fd> {
    sys_eventfd2(count, 0, context)
}

/// eventfd(2).
pub fn sys_eventfd2(count: u32, flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags & !(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = eventfd::create(count, flags & EFD_SEMAPHORE != 0, flags & O_NONBLOCK)?;
    context.install(file, flags & O_CLOEXEC != 0)
}

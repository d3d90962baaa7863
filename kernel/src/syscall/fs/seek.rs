//! lseek(2).

use crate::context::Context;
use crate::error::Result;
use crate::syscall::Fd;

/// lseek(2).
pub fn sys_lseek(fd: Fd, offset: i64, whence: u32, context: &mut Context<'_>) -> Result<u64> {
    let file = context.process.fds().get_io(fd)?;
    file.ops().seek(&file, offset, whence)
}

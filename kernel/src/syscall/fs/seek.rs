//! lseek(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::syscall::Fd;

/// SEEK_HOLE, the last of the five directives.
const LAST_WHENCE: u32 = 4;

/// lseek(2).
pub fn sys_lseek(fd: Fd, offset: i64, whence: u32, context: &mut Context<'_>) -> Result<u64> {
    let file = context.process.fds().get_io(fd)?;
    // A directive that does not exist is refused before a file that cannot be sought (ESPIPE).
    if whence > LAST_WHENCE {
        return Err(Errno::EINVAL.into());
    }
    file.ops().seek(&file, offset, whence)
}

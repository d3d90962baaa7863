//! truncate(2), ftruncate(2).

use super::{AT_FDCWD, lookup_at};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::attributes;
use crate::syscall::{Fd, UserCStr};

/// truncate(2).
pub fn sys_truncate(path: UserCStr, size: i64, context: &mut Context<'_>) -> Result<()> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let (start, path) = lookup_at(AT_FDCWD, path, 0, 0, context)?;
    attributes::truncate(&path, size, &start.credentials)
}

/// ftruncate(2).
pub fn sys_ftruncate(fd: Fd, size: i64, context: &mut Context<'_>) -> Result<()> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let file = context.process.fds().get_io(fd)?;
    if !file.is_writable() {
        return Err(Errno::EINVAL.into());
    }
    file.ops().truncate(&file, size)
}

//! fallocate(2).

use super::read_write::writable;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::FileType;
use crate::syscall::Fd;

const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const ZERO_RANGE: u32 = 16;

/// fallocate(2). Collapsing, inserting and unsharing ranges answer EOPNOTSUPP, as file systems without extents do.
pub fn sys_fallocate(fd: Fd, mode: u32, offset: i64, len: i64, context: &mut Context<'_>) -> Result<()> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let len = u64::try_from(len).ok().filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
    let is_known = matches!(mode & !KEEP_SIZE, 0 | ZERO_RANGE) || mode == PUNCH_HOLE | KEEP_SIZE;
    if !is_known {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let file = writable(fd, context)?;
    let inode = file.inode()?;
    match inode.access().file_type {
        FileType::Regular => {}
        FileType::Fifo => return Err(Errno::ESPIPE.into()),
        FileType::Directory => return Err(Errno::EISDIR.into()),
        _ => return Err(Errno::ENODEV.into()),
    }
    file.ops().allocate(&file, mode, offset, len)
}

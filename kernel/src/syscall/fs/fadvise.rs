//! fadvise64(2), readahead(2): advice is heard; what is read stays cached anyway until memory is short.

use super::read_write::readable;
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::FileType;
use crate::syscall::Fd;

/// fadvise64(2).
pub fn sys_fadvise64(fd: Fd, _offset: i64, len: i64, advice: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    if file.inode()?.access().file_type == FileType::Fifo {
        return Err(Errno::ESPIPE.into());
    }
    if advice > 5 || len < 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(())
}

/// readahead(2).
pub fn sys_readahead(fd: Fd, _offset: i64, _len: usize, context: &mut Context<'_>) -> Result<()> {
    let file = readable(fd, context)?;
    if !matches!(file.inode()?.access().file_type, FileType::Regular | FileType::BlockDevice) {
        return Err(Errno::EINVAL.into());
    }
    Ok(())
}

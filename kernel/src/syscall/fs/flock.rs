//! flock(2).

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::file_lock::{self, FileLock, Owner};
use crate::syscall::Fd;

const LOCK_SH: u32 = 1;
const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;
const LOCK_UN: u32 = 8;

/// flock(2).
pub fn sys_flock(fd: Fd, operation: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    let owner = Owner::Flock(file_lock::description(&file));
    let inode = file.inode()?;
    let is_exclusive = match operation & !LOCK_NB {
        LOCK_UN => {
            return file_lock::unset(inode, owner, 0, u64::MAX);
        }
        LOCK_SH => false,
        LOCK_EX => true,
        _ => return Err(Errno::EINVAL.into()),
    };
    let (pid, payer) = (context.process.pid(), context.process.fds().lock_owner());
    let lock = FileLock { owner, pid, payer, start: 0, end: u64::MAX, is_exclusive };
    file_lock::set(inode, lock, operation & LOCK_NB == 0)
}

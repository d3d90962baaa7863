//! chmod(2), fchmod(2), fchmodat(2), fchmodat2(2).

use super::{AT_FDCWD, lookup_at};
use crate::context::Context;
use crate::error::Result;
use crate::fs::vfs::attributes;
use crate::syscall::{Fd, UserCStr};

/// chmod(2).
pub fn sys_chmod(path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<()> {
    sys_fchmodat2(AT_FDCWD, path, mode, 0, context)
}

/// fchmod(2).
pub fn sys_fchmod(fd: Fd, mode: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    attributes::change_mode(file.path(), mode, &context.process.credentials())
}

/// fchmodat(2): the call itself has no flags.
pub fn sys_fchmodat(dirfd: Fd, path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<()> {
    sys_fchmodat2(dirfd, path, mode, 0, context)
}

/// fchmodat2(2).
pub fn sys_fchmodat2(
    dirfd: Fd,
    path: UserCStr,
    mode: u32,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let (start, path) = lookup_at(dirfd, path, flags, 0, context)?;
    attributes::change_mode(&path, mode, &start.credentials)
}

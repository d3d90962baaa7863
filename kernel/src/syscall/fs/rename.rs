//! rename(2), renameat(2), renameat2(2). RENAME_WHITEOUT answers EINVAL.

use super::{AT_FDCWD, PathName};
use crate::context::Context;
use crate::error::Result;
use crate::fs::vfs::lookup::LookupStart;
use crate::fs::vfs::names;
use crate::syscall::{Fd, UserCStr};

/// rename(2).
pub fn sys_rename(old: UserCStr, new: UserCStr, context: &mut Context<'_>) -> Result<()> {
    sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0, context)
}

/// renameat(2).
pub fn sys_renameat(
    old_dirfd: Fd,
    old: UserCStr,
    new_dirfd: Fd,
    new: UserCStr,
    context: &mut Context<'_>,
) -> Result<()> {
    sys_renameat2(old_dirfd, old, new_dirfd, new, 0, context)
}

/// renameat2(2).
pub fn sys_renameat2(
    old_dirfd: Fd,
    old: UserCStr,
    new_dirfd: Fd,
    new: UserCStr,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let (old, new) = (PathName::read(old)?, PathName::read(new)?);
    let old_start = LookupStart::at(context.thread, old_dirfd, &old)?;
    let new_start = LookupStart::at(context.thread, new_dirfd, &new)?;
    names::rename((&old_start, &old), (&new_start, &new), flags)
}

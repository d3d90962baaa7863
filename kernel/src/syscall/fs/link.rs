//! link(2), linkat(2).

use super::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, PathName, lookup_at};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::lookup::LookupStart;
use crate::fs::vfs::names;
use crate::process::credentials::Capability;
use crate::syscall::{Fd, UserCStr};

/// link(2).
pub fn sys_link(old: UserCStr, new: UserCStr, context: &mut Context<'_>) -> Result<()> {
    sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0, context)
}

/// linkat(2).
pub fn sys_linkat(
    old_dirfd: Fd,
    old: UserCStr,
    new_dirfd: Fd,
    new: UserCStr,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if flags & AT_EMPTY_PATH != 0 && !context.process.credentials().has(Capability::DacReadSearch) {
        return Err(Errno::ENOENT.into());
    }
    let follow = if flags & AT_SYMLINK_FOLLOW != 0 { 0 } else { AT_SYMLINK_NOFOLLOW };
    let (_, target) = lookup_at(old_dirfd, old, (flags & AT_EMPTY_PATH) | follow, 0, context)?;
    let name = PathName::read(new)?;
    let start = LookupStart::at(context.thread, new_dirfd, &name)?;
    names::link(&target, &start, &name)
}

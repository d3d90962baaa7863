//! chown(2), lchown(2), fchown(2), fchownat(2).

use super::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::context::Context;
use crate::error::Result;
use crate::fs::vfs::attributes;
use crate::syscall::{Fd, UserCStr};

/// chown(2).
pub fn sys_chown(path: UserCStr, uid: u32, gid: u32, context: &mut Context<'_>) -> Result<()> {
    sys_fchownat(AT_FDCWD, path, uid, gid, 0, context)
}

/// lchown(2).
pub fn sys_lchown(path: UserCStr, uid: u32, gid: u32, context: &mut Context<'_>) -> Result<()> {
    sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW, context)
}

/// fchown(2).
pub fn sys_fchown(fd: Fd, uid: u32, gid: u32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    attributes::change_owner(file.path(), id(uid), id(gid), &context.process.credentials())
}

/// fchownat(2).
pub fn sys_fchownat(
    dirfd: Fd,
    path: UserCStr,
    uid: u32,
    gid: u32,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let (start, path) = lookup_at(dirfd, path, flags, 0, context)?;
    attributes::change_owner(&path, id(uid), id(gid), &start.credentials)
}

/// -1 stays.
fn id(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

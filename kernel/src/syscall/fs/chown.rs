//! chown(2), lchown(2), fchown(2), fchownat(2).

use super::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::context::Context;
use crate::error::Result;
use crate::fs::vfs::attributes;
use crate::process::credentials::Credentials;
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
    let own = context.process.credentials();
    attributes::change_owner(file.path(), user(uid, &own)?, group(gid, &own)?, &own)
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
    let own = &start.credentials;
    attributes::change_owner(&path, user(uid, own)?, group(gid, own)?, own)
}

/// -1 stays.
fn user(uid: u32, own: &Credentials) -> Result<Option<u32>> {
    if uid == u32::MAX { Ok(None) } else { own.kernel_uid(uid).map(Some) }
}

/// As [`user`].
fn group(gid: u32, own: &Credentials) -> Result<Option<u32>> {
    if gid == u32::MAX { Ok(None) } else { own.kernel_gid(gid).map(Some) }
}

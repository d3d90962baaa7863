//! mkdir(2), mkdirat(2), mknod(2), mknodat(2), symlink(2), symlinkat(2).

use super::{AT_FDCWD, PathName};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::{FileType, NewInode};
use crate::fs::vfs::lookup::LookupStart;
use crate::fs::vfs::names;
use crate::syscall::{Fd, UserCStr};

/// mkdir(2).
pub fn sys_mkdir(path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<()> {
    sys_mkdirat(AT_FDCWD, path, mode, context)
}

/// mkdirat(2).
pub fn sys_mkdirat(dirfd: Fd, path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<()> {
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, dirfd, &name)?;
    let permissions = mode & 0o1777 & !context.thread.place().umask();
    names::make(&start, &name, NewInode::Directory, permissions).map(drop)
}

/// mknod(2).
pub fn sys_mknod(path: UserCStr, mode: u32, device: u32, context: &mut Context<'_>) -> Result<()> {
    sys_mknodat(AT_FDCWD, path, mode, device, context)
}

/// mknodat(2).
pub fn sys_mknodat(
    dirfd: Fd,
    path: UserCStr,
    mode: u32,
    device: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let what = match FileType::from_mode(mode) {
        None if mode & 0o170_000 == 0 => NewInode::Regular,
        Some(FileType::Regular) => NewInode::Regular,
        Some(FileType::Directory) => return Err(Errno::EPERM.into()),
        Some(node @ (FileType::CharDevice | FileType::BlockDevice)) => {
            NewInode::Node(node, u64::from(device))
        }
        Some(node @ (FileType::Fifo | FileType::Socket)) => NewInode::Node(node, 0),
        _ => return Err(Errno::EINVAL.into()),
    };
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, dirfd, &name)?;
    let permissions = mode & 0o7777 & !context.thread.place().umask();
    names::make(&start, &name, what, permissions).map(drop)
}

/// symlink(2).
pub fn sys_symlink(target: UserCStr, path: UserCStr, context: &mut Context<'_>) -> Result<()> {
    sys_symlinkat(target, AT_FDCWD, path, context)
}

/// symlinkat(2).
pub fn sys_symlinkat(target: UserCStr, dirfd: Fd, path: UserCStr, context: &mut Context<'_>) -> Result<()> {
    let target = PathName::read(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, dirfd, &name)?;
    names::make(&start, &name, NewInode::Symlink(&target), 0o777).map(drop)
}

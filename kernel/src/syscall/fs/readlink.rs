//! readlink(2), readlinkat(2).

use super::{AT_FDCWD, PathName};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::FileType;
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::syscall::{Fd, UserCStr, UserPtr};

/// readlink(2).
pub fn sys_readlink(
    path: UserCStr,
    buffer: UserPtr<u8>,
    len: i32,
    context: &mut Context<'_>,
) -> Result<usize> {
    sys_readlinkat(AT_FDCWD, path, buffer, len, context)
}

/// readlinkat(2). An empty path means the descriptor's own link.
pub fn sys_readlinkat(
    dirfd: Fd,
    path: UserCStr,
    buffer: UserPtr<u8>,
    len: i32,
    context: &mut Context<'_>,
) -> Result<usize> {
    let len = usize::try_from(len).ok().filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, dirfd, &name)?;
    let flags = if dirfd == AT_FDCWD { LookupFlags::empty() } else { LookupFlags::EMPTY_PATH };
    let found = lookup::lookup(&start, &name, flags)?;
    let inode = found.inode()?;
    if inode.access().file_type != FileType::Symlink {
        return Err(if name.is_empty() { Errno::ENOENT } else { Errno::EINVAL }.into());
    }
    let target = inode.read_link()?;
    let shown = &target[..len.min(target.len())];
    buffer.write_array(shown)?;
    Ok(shown.len())
}

//! unlink(2), rmdir(2), unlinkat(2).

use super::{AT_FDCWD, PathName};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::lookup::LookupStart;
use crate::fs::vfs::names;
use crate::syscall::{Fd, UserCStr};

const AT_REMOVEDIR: u32 = 0x200;

/// unlink(2).
pub fn sys_unlink(path: UserCStr, context: &mut Context<'_>) -> Result<()> {
    sys_unlinkat(AT_FDCWD, path, 0, context)
}

/// rmdir(2).
pub fn sys_rmdir(path: UserCStr, context: &mut Context<'_>) -> Result<()> {
    sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR, context)
}

/// unlinkat(2).
pub fn sys_unlinkat(dirfd: Fd, path: UserCStr, flags: u32, context: &mut Context<'_>) -> Result<()> {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, dirfd, &name)?;
    if flags & AT_REMOVEDIR != 0 { names::rmdir(&start, &name) } else { names::unlink(&start, &name) }
}

//! getcwd(2), chdir(2), fchdir(2), chroot(2), umask(2).

use super::{AT_FDCWD, PathName};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::permission;
use crate::fs::vfs::place::Path;
use crate::process::credentials::Capability;
use crate::syscall::{Fd, UserCStr, UserPtr};

/// getcwd(2): the length with the NUL.
pub fn sys_getcwd(buffer: UserPtr<u8>, len: usize, context: &mut Context<'_>) -> Result<usize> {
    let (root, cwd) = context.thread.place().both();
    if cwd.dentry.is_removed() {
        return Err(Errno::ENOENT.into());
    }
    let (mut bytes, is_reachable) = cwd.names_below(&root);
    if !is_reachable {
        bytes.splice(0..0, *b"(unreachable)");
    }
    bytes.push(0);
    if bytes.len() > len {
        return Err(Errno::ERANGE.into());
    }
    buffer.write_array(&bytes)?;
    Ok(bytes.len())
}

/// chdir(2).
pub fn sys_chdir(path: UserCStr, context: &mut Context<'_>) -> Result<()> {
    let to = directory(path, context)?;
    context.thread.place().set_cwd(to);
    Ok(())
}

/// fchdir(2).
pub fn sys_fchdir(fd: Fd, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get(fd)?;
    let path = file.path();
    if !path.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    permission::check_search(&**path.inode()?, &context.process.credentials())?;
    context.thread.place().set_cwd(path.clone());
    Ok(())
}

/// chroot(2).
pub fn sys_chroot(path: UserCStr, context: &mut Context<'_>) -> Result<()> {
    let to = directory(path, context)?;
    if !context.process.credentials().has_own(Capability::SysChroot) {
        return Err(Errno::EPERM.into());
    }
    context.thread.place().set_root(to);
    Ok(())
}

/// umask(2).
pub fn sys_umask(mask: u32, context: &mut Context<'_>) -> Result<u32> {
    Ok(context.thread.place().set_umask(mask))
}

/// A directory that may be searched.
fn directory(path: UserCStr, context: &Context<'_>) -> Result<Path> {
    let name = PathName::read(path)?;
    let start = LookupStart::at(context.thread, AT_FDCWD, &name)?;
    let found = lookup::lookup(&start, &name, LookupFlags::FOLLOW | LookupFlags::DIRECTORY)?;
    permission::check_search(&**found.inode()?, &start.credentials)?;
    Ok(found)
}

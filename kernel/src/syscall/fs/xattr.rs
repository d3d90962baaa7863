//! setxattr(2), getxattr(2), listxattr(2), removexattr(2), each also for links and descriptors.

use super::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, lookup_at};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::place::Path;
use crate::fs::vfs::xattr::{
    self, XATTR_CREATE, XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_REPLACE, XATTR_SIZE_MAX,
};
use crate::process::credentials::{self, Capability};
use crate::syscall::{Fd, UserCStr, UserPtr};
use alloc::vec::Vec;

/// setxattr(2).
pub fn sys_setxattr(
    path: UserCStr,
    name: UserCStr,
    value: UserPtr<u8>,
    len: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    set(&by_path(path, 0, context)?, name, value, len, flags, context)
}

/// lsetxattr(2).
pub fn sys_lsetxattr(
    path: UserCStr,
    name: UserCStr,
    value: UserPtr<u8>,
    len: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    set(&by_path(path, AT_SYMLINK_NOFOLLOW, context)?, name, value, len, flags, context)
}

/// fsetxattr(2).
pub fn sys_fsetxattr(
    fd: Fd,
    name: UserCStr,
    value: UserPtr<u8>,
    len: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    set(&by_fd(fd, context)?, name, value, len, flags, context)
}

/// getxattr(2).
pub fn sys_getxattr(
    path: UserCStr,
    name: UserCStr,
    out: UserPtr<u8>,
    len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    get(&by_path(path, 0, context)?, name, out, len, context)
}

/// lgetxattr(2).
pub fn sys_lgetxattr(
    path: UserCStr,
    name: UserCStr,
    out: UserPtr<u8>,
    len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    get(&by_path(path, AT_SYMLINK_NOFOLLOW, context)?, name, out, len, context)
}

/// fgetxattr(2).
pub fn sys_fgetxattr(
    fd: Fd,
    name: UserCStr,
    out: UserPtr<u8>,
    len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    get(&by_fd(fd, context)?, name, out, len, context)
}

/// listxattr(2).
pub fn sys_listxattr(
    path: UserCStr,
    out: UserPtr<u8>,
    len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    list(&by_path(path, 0, context)?, out, len, context)
}

/// llistxattr(2).
pub fn sys_llistxattr(
    path: UserCStr,
    out: UserPtr<u8>,
    len: usize,
    context: &mut Context<'_>,
) -> Result<usize> {
    list(&by_path(path, AT_SYMLINK_NOFOLLOW, context)?, out, len, context)
}

/// flistxattr(2).
pub fn sys_flistxattr(fd: Fd, out: UserPtr<u8>, len: usize, context: &mut Context<'_>) -> Result<usize> {
    list(&by_fd(fd, context)?, out, len, context)
}

/// removexattr(2).
pub fn sys_removexattr(path: UserCStr, name: UserCStr, context: &mut Context<'_>) -> Result<()> {
    remove(&by_path(path, 0, context)?, name, context)
}

/// lremovexattr(2).
pub fn sys_lremovexattr(path: UserCStr, name: UserCStr, context: &mut Context<'_>) -> Result<()> {
    remove(&by_path(path, AT_SYMLINK_NOFOLLOW, context)?, name, context)
}

/// fremovexattr(2).
pub fn sys_fremovexattr(fd: Fd, name: UserCStr, context: &mut Context<'_>) -> Result<()> {
    remove(&by_fd(fd, context)?, name, context)
}

fn by_path(path: UserCStr, flags: u32, context: &Context<'_>) -> Result<Path> {
    Ok(lookup_at(AT_FDCWD, path, flags, 0, context)?.1)
}

fn by_fd(fd: Fd, context: &Context<'_>) -> Result<Path> {
    Ok(context.process.fds().get_io(fd)?.path().clone())
}

fn read_name(name: UserCStr) -> Result<Vec<u8>> {
    let name = name.read(XATTR_NAME_MAX + 1)?.ok_or(Errno::ERANGE)?;
    if name.is_empty() { Err(Errno::ERANGE.into()) } else { Ok(name) }
}

fn set(
    path: &Path,
    name: UserCStr,
    value: UserPtr<u8>,
    len: usize,
    flags: u32,
    context: &Context<'_>,
) -> Result<()> {
    if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = read_name(name)?;
    if len > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG.into());
    }
    let mut value = value.read_array(len)?;
    path.mount.check_writable()?;
    let inode = path.inode()?;
    let credentials = context.process.credentials();
    xattr::check(&**inode, &name, &credentials, true)?;
    if name == b"security.capability" {
        value = credentials::file_capabilities_from(&credentials, value)?;
    }
    inode.set_xattr(&name, &value, flags)
}

fn get(path: &Path, name: UserCStr, out: UserPtr<u8>, len: usize, context: &Context<'_>) -> Result<usize> {
    let name = read_name(name)?;
    let inode = path.inode()?;
    xattr::check(&**inode, &name, &context.process.credentials(), false)?;
    give(&inode.get_xattr(&name)?, out, len.min(XATTR_SIZE_MAX))
}

fn list(path: &Path, out: UserPtr<u8>, len: usize, context: &Context<'_>) -> Result<usize> {
    let sees_trusted = context.process.credentials().has(Capability::SysAdmin);
    let mut names = Vec::new();
    for name in path.inode()?.list_xattrs()? {
        if sees_trusted || !name.starts_with(b"trusted.") {
            names.extend_from_slice(&name);
            names.push(0);
        }
    }
    if names.len() > XATTR_LIST_MAX {
        return Err(Errno::E2BIG.into());
    }
    give(&names, out, len)
}

fn remove(path: &Path, name: UserCStr, context: &Context<'_>) -> Result<()> {
    let name = read_name(name)?;
    path.mount.check_writable()?;
    let inode = path.inode()?;
    xattr::check(&**inode, &name, &context.process.credentials(), true)?;
    inode.remove_xattr(&name)
}

/// Length 0 asks for the size; too short is ERANGE.
fn give(bytes: &[u8], out: UserPtr<u8>, len: usize) -> Result<usize> {
    if len > 0 {
        if bytes.len() > len {
            return Err(Errno::ERANGE.into());
        }
        out.write_array(bytes)?;
    }
    Ok(bytes.len())
}

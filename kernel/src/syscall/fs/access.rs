//! access(2), faccessat(2), faccessat2(2).

use super::{AT_FDCWD, lookup_at};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::vfs::inode::FileType;
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::mount::MountFlags;
use crate::fs::vfs::permission::{self, EXECUTE, READ, WRITE};
use crate::process::credentials::Credentials;
use crate::syscall::fs::PathName;
use crate::syscall::{Fd, UserCStr};
use alloc::sync::Arc;

const AT_EACCESS: u32 = 0x200;

/// access(2).
pub fn sys_access(path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<()> {
    check(AT_FDCWD, path, mode, 0, context)
}

/// faccessat(2): the call itself has no flags.
pub fn sys_faccessat(dirfd: Fd, path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<()> {
    check(dirfd, path, mode, 0, context)
}

/// faccessat2(2).
pub fn sys_faccessat2(
    dirfd: Fd,
    path: UserCStr,
    mode: u32,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    check(dirfd, path, mode, flags, context)
}

fn check(dirfd: Fd, path: UserCStr, mode: u32, flags: u32, context: &Context<'_>) -> Result<()> {
    if mode & !(READ | WRITE | EXECUTE) != 0
        || flags & !(AT_EACCESS | super::AT_SYMLINK_NOFOLLOW | super::AT_EMPTY_PATH) != 0
    {
        return Err(Errno::EINVAL.into());
    }
    let credentials = context.process.credentials();
    let path = if flags & AT_EACCESS != 0
        || credentials.fsuid() == credentials.uid[0] && credentials.fsgid() == credentials.gid[0]
    {
        lookup_at(dirfd, path, flags & !AT_EACCESS, 0, context)?.1
    } else {
        let name = PathName::read(path)?;
        let start = LookupStart::at(context.thread, dirfd, &name)?.with_credentials(as_real(&credentials));
        let mut how = LookupFlags::empty();
        how.set(LookupFlags::FOLLOW, flags & super::AT_SYMLINK_NOFOLLOW == 0);
        how.set(LookupFlags::EMPTY_PATH, flags & super::AT_EMPTY_PATH != 0);
        lookup::lookup(&start, &name, how)?
    };
    if mode == 0 {
        return Ok(());
    }
    let credentials = if flags & AT_EACCESS != 0 { credentials } else { as_real(&credentials) };
    let access = path.inode()?.access();
    if mode & EXECUTE != 0
        && access.file_type == FileType::Regular
        && path.mount.flags().contains(MountFlags::NO_EXEC)
    {
        return Err(Errno::EACCES.into());
    }
    permission::check_access(&access, &credentials, mode)?;
    let is_data = matches!(access.file_type, FileType::Regular | FileType::Directory | FileType::Symlink);
    if mode & WRITE != 0 && is_data {
        path.mount.check_writable()?;
    }
    Ok(())
}

/// access(2) asks what the real user might do: real ids, and capabilities only if that is root (or all of the permitted ones).
fn as_real(credentials: &Arc<Credentials>) -> Arc<Credentials> {
    if credentials.fsuid() == credentials.uid[0] && credentials.fsgid() == credentials.gid[0] {
        return credentials.clone();
    }
    let mut real = (**credentials).clone();
    real.uid[3] = real.uid[0];
    real.gid[3] = real.gid[0];
    real.capabilities[1] = if Some(real.uid[0]) == real.root_uid() { real.capabilities[0] } else { 0 };
    Arc::new(real)
}

//! open(2), openat(2), creat(2), openat2(2): <https://man7.org/linux/man-pages/man2/openat2.2.html>.

use super::{AT_FDCWD, PathName, descriptor_limit};
use crate::context::Context;
use crate::error::{Errno, Result};
use crate::fs::open_file::flags::{
    O_ACCMODE, O_APPEND, O_ASYNC, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_LARGEFILE,
    O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_SYNC, O_TMPFILE, O_TRUNC, O_WRONLY,
};
use crate::fs::vfs::lookup::{LookupFlags, LookupStart};
use crate::fs::vfs::open::{self, OpenHow};
use crate::syscall::{Fd, UserCStr, UserPtr};
use coffer_abi_types::fs::open_how;

const KNOWN: u32 = O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_NOCTTY
    | O_TRUNC
    | O_APPEND
    | O_NONBLOCK
    | O_DSYNC
    | O_ASYNC
    | O_DIRECT
    | O_LARGEFILE
    | O_DIRECTORY
    | O_NOFOLLOW
    | O_NOATIME
    | O_CLOEXEC
    | O_SYNC
    | O_PATH
    | O_TMPFILE;

/// open(2).
pub fn sys_open(path: UserCStr, flags: u32, mode: u32, context: &mut Context<'_>) -> Result<Fd> {
    sys_openat(AT_FDCWD, path, flags, mode, context)
}

/// creat(2).
pub fn sys_creat(path: UserCStr, mode: u32, context: &mut Context<'_>) -> Result<Fd> {
    sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, context)
}

/// openat(2). Unknown flags are ignored, as ever.
pub fn sys_openat(dirfd: Fd, path: UserCStr, flags: u32, mode: u32, context: &mut Context<'_>) -> Result<Fd> {
    open_at(dirfd, path, flags & KNOWN, mode & 0o7777, LookupFlags::empty(), context)
}

/// openat2(2): what is not known is refused.
pub fn sys_openat2(
    dirfd: Fd,
    path: UserCStr,
    how: UserPtr<open_how>,
    size: usize,
    context: &mut Context<'_>,
) -> Result<Fd> {
    if size < size_of::<open_how>() {
        return Err(Errno::EINVAL.into());
    }
    if size > 4096 {
        return Err(Errno::E2BIG.into());
    }
    let how = how.read_extensible(size)?;
    let flags = u32::try_from(how.flags).map_err(|_| Errno::EINVAL)?;
    let makes = flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE;
    let is_path_with_more =
        flags & O_PATH != 0 && flags & !(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) != 0;
    if flags & !KNOWN != 0 || (!makes && how.mode != 0) || how.mode & !0o7777 != 0 || is_path_with_more {
        return Err(Errno::EINVAL.into());
    }
    let resolve = resolve_flags(how.resolve)?;
    open_at(dirfd, path, flags, how.mode as u32, resolve, context)
}

fn resolve_flags(resolve: u64) -> Result<LookupFlags> {
    const NAMED: [(u64, LookupFlags); 5] = [
        (0x01, LookupFlags::NO_XDEV),
        (0x02, LookupFlags::NO_MAGICLINKS),
        (0x04, LookupFlags::NO_SYMLINKS),
        (0x08, LookupFlags::BENEATH),
        (0x10, LookupFlags::IN_ROOT),
    ];
    const RESOLVE_CACHED: u64 = 0x20;
    if resolve & !0x3f != 0 || resolve & 0x18 == 0x18 {
        return Err(Errno::EINVAL.into());
    }
    if resolve & RESOLVE_CACHED != 0 {
        // Whether a walk would leave the cache is not known beforehand: EAGAIN is always a right answer.
        return Err(Errno::EAGAIN.into());
    }
    Ok(NAMED
        .iter()
        .filter(|(bit, _)| resolve & bit != 0)
        .fold(LookupFlags::empty(), |all, (_, flag)| all | *flag))
}

fn open_at(
    dirfd: Fd,
    path: UserCStr,
    flags: u32,
    mode: u32,
    resolve: LookupFlags,
    context: &mut Context<'_>,
) -> Result<Fd> {
    if flags & O_TMPFILE == O_TMPFILE & !O_DIRECTORY {
        return Err(Errno::EINVAL.into());
    }
    let name = PathName::read(path)?;
    let mut start = LookupStart::at(context.thread, dirfd, &name)?;
    if resolve.contains(LookupFlags::IN_ROOT) && dirfd.0 != AT_FDCWD.0 && name.first() == Some(&b'/') {
        start.base = context.process.fds().get(dirfd)?.path().clone();
    }
    let permissions = if flags & (O_CREAT | (O_TMPFILE & !O_DIRECTORY)) != 0 {
        mode & !context.thread.place().umask()
    } else {
        0
    };
    let flags = if flags & O_PATH == 0 { flags | O_LARGEFILE } else { flags };
    let file = open::open(&start, &name, OpenHow { flags, permissions, resolve })?;
    context.process.fds().install(file, flags & O_CLOEXEC != 0, descriptor_limit(context))
}

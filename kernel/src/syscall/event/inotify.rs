//! inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2): <https://man7.org/linux/man-pages/man7/inotify.7.html>

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::event::inotify::{self, Existing, IN_ONESHOT};
use crate::fs::open_file::flags::{O_CLOEXEC, O_NONBLOCK};
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::permission;
use crate::syscall::{Fd, UserCStr};

const IN_ALL_EVENTS: u32 = 0xfff;
const IN_ONLYDIR: u32 = 0x0100_0000;
const IN_DONT_FOLLOW: u32 = 0x0200_0000;
const IN_EXCL_UNLINK: u32 = 0x0400_0000;
const IN_MASK_CREATE: u32 = 0x1000_0000;
const IN_MASK_ADD: u32 = 0x2000_0000;
const KNOWN: u32 =
    IN_ALL_EVENTS | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ONESHOT;

/// inotify_init(2).
pub fn sys_inotify_init(context: &mut Context<'_>) -> Result<Fd> {
    sys_inotify_init1(0, context)
}

/// inotify_init1(2).
pub fn sys_inotify_init1(flags: u32, context: &mut Context<'_>) -> Result<Fd> {
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    context.install(inotify::create(flags & O_NONBLOCK)?, flags & O_CLOEXEC != 0)
}

/// inotify_add_watch(2).
pub fn sys_inotify_add_watch(fd: Fd, path: UserCStr, mask: u32, context: &mut Context<'_>) -> Result<i32> {
    if mask & KNOWN == 0 || mask & IN_MASK_ADD != 0 && mask & IN_MASK_CREATE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = context.process.fds().get_io(fd)?;
    let instance = inotify::of(&file).ok_or(Error::new(Errno::EINVAL))?;
    let mut flags = LookupFlags::empty();
    flags.set(LookupFlags::FOLLOW, mask & IN_DONT_FOLLOW == 0);
    flags.set(LookupFlags::DIRECTORY, mask & IN_ONLYDIR != 0);
    let start = LookupStart::of(context.thread);
    let path = lookup::lookup(&start, &path.read_path()?, flags)?;
    let inode = path.inode()?;
    permission::check(&**inode, &start.credentials, permission::READ)?;
    let existing = match (mask & IN_MASK_ADD != 0, mask & IN_MASK_CREATE != 0) {
        (true, _) => Existing::Extend,
        (_, true) => Existing::Refuse,
        _ => Existing::Replace,
    };
    instance.add(inode, mask & (IN_ALL_EVENTS | IN_ONESHOT), existing)
}

/// inotify_rm_watch(2).
pub fn sys_inotify_rm_watch(fd: Fd, wd: i32, context: &mut Context<'_>) -> Result<()> {
    let file = context.process.fds().get_io(fd)?;
    inotify::of(&file).ok_or(Error::new(Errno::EINVAL))?.remove(wd)
}
